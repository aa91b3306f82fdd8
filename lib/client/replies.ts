import { type ErrorFrame, GatewayError } from './errors';
import type { Frame, Link } from './link';
import type { Listeners } from './listeners';
import { problem } from './problems';
import type { Replies, Reply } from './types';

/** The replies to one send, as something to loop over. */

export interface Stream {
  /** Where the send was acknowledged. */
  link?: Link | undefined;
  push(reply: Reply): void;
  /** After what it holds. */
  end(error?: GatewayError): void;
}

/** @param streams by the ids of their sends; this one is there until it ends, in the place of another for the same send. */
export function openReplies(streams: Map<string, Stream>, id: string, maxBuffered: number): Replies {
  const buffer: Reply[] = [];
  let failure: GatewayError | undefined;
  let isOver = false;
  let wake = () => {};

  const stream: Stream = {
    push(reply) {
      buffer.push(reply);
      wake();
      if (buffer.length <= maxBuffered) return;
      // A loop that keeps up has them before that, however many come in one frame.
      setTimeout(() => {
        if (buffer.length > maxBuffered && !isOver) stream.end(problem('buffer_full', id));
      });
    },
    end(error) {
      failure = error;
      isOver = true;
      if (streams.get(id) === stream) streams.delete(id);
      wake();
    },
  };
  streams.get(id)?.end();
  streams.set(id, stream);

  async function* read(): AsyncGenerator<Reply, void> {
    try {
      for (;;) {
        for (let reply = buffer.shift(); reply; reply = buffer.shift()) yield reply;
        if (failure) throw failure;
        if (isOver) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      stream.end();
    }
  }
  return Object.assign(read(), {
    id,
    cancel() {
      buffer.length = 0;
      stream.end();
    },
  });
}

/** Gives a reply to its loop, and to the listeners. */
export function handOver(frame: Frame, streams: Map<string, Stream>, tell: Listeners['tell']): void {
  if (frame.event === 'error') {
    const error = new GatewayError(frame as ErrorFrame);
    streams.get(frame.id)?.end(error);
    tell('error', error);
  } else {
    streams.get(frame.id)?.push(frame as Reply);
    tell('recv', frame as Reply);
  }
}

/** Those that can get no more. @param link where their sends were acknowledged; none for all. */
export function loseReplies(streams: Map<string, Stream>, link?: Link): void {
  for (const [id, stream] of streams) {
    if (stream.link && (!link || stream.link === link)) stream.end(problem('replies_lost', id));
  }
}
