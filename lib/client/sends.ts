import type { GatewayError } from './errors';
import type { Frame, Link } from './link';
import { problem } from './problems';
import type { Ack, SendOptions } from './types';

/**
 * The sends that have no acknowledgement yet, in their order: each waits for a link, or on the link that it was written to.
 * When that ends it waits for the next where a repetition does no harm; else its fate is unknown, and it is rejected.
 */

export interface Sends {
  /** @param data JSON text. */
  add(id: string, data: string, options: SendOptions): Promise<Ack>;
  /** Writes what waits for a link. */
  flush(link: Link, session: string | undefined): void;
  acked(frame: Frame): void;
  /** @returns false where there is no such send. */
  refuse(id: string, error: GatewayError): boolean;
  /** To be written again. */
  requeue(id: string): void;
  /** Those that wait for their acknowledgement on this link. */
  on(link: Link): string[];
  linkEnded(link: Link, isRepeatable: boolean, code: number | undefined): void;
  refuseAll(reason: string): void;
}

interface Send {
  /** JSON text. */
  data: string;
  link?: Link | undefined;
  /** It is over. */
  settle(error?: GatewayError, ack?: Ack): void;
}

/** API Gateway takes no longer message, and closes with 1009 at a longer WebSocket frame: a browser makes one of each message. */
const maxMessageBytes = 131_072;
const maxFrameBytes = 32_768;

/** @param settled is told of each send that is over, with the link where it was acknowledged, or the error. */
export function createSends(
  maxQueued: number,
  settled: (id: string, link: Link | undefined, error: GatewayError | undefined) => void,
): Sends {
  const pending = new Map<string, Send>();
  const on = (link: Link | undefined) => [...pending.keys()].filter((id) => pending.get(id)?.link === link);

  const refuse = (id: string, error: GatewayError) => {
    const send = pending.get(id);
    send?.settle(error);
    return !!send;
  };
  const requeue = (id: string) => {
    const send = pending.get(id);
    if (send) send.link = undefined;
  };

  return {
    add: (id, data, { timeoutMs = 30_000, signal }) =>
      new Promise((resolve, reject) => {
        if (pending.has(id)) return reject(problem('invalid_message', id));
        if (signal?.aborted) return reject(problem('aborted', id, signal.reason));
        if (on(undefined).length >= maxQueued) return reject(problem('queue_full', id));
        const abort = () => refuse(id, problem('aborted', id, signal?.reason));
        // setTimeout takes no more.
        const timer = timeoutMs < 2 ** 31 ? setTimeout(() => refuse(id, problem('timeout', id)), timeoutMs) : undefined;
        signal?.addEventListener('abort', abort);
        const send: Send = {
          data,
          settle(error, ack) {
            pending.delete(id);
            clearTimeout(timer);
            signal?.removeEventListener('abort', abort);
            if (error) reject(error);
            else resolve(ack as Ack);
            settled(id, send.link, error);
          },
        };
        pending.set(id, send);
      }),

    flush(link, session) {
      for (const [id, send] of [...pending]) {
        if (send.link) continue;
        const membership = session ? `,"session":"${session}"` : '';
        const frame = `{"action":"send","id":${JSON.stringify(id)}${membership},"data":${send.data}}`;
        if (bytesOf(frame) > maxMessageBytes) refuse(id, problem('too_large', id));
        else if (link.write(frame, true)) send.link = link;
        else return;
      }
    },

    acked({ event: _, ...ack }) {
      pending.get(ack.id)?.settle(undefined, ack as Ack);
    },

    refuse,
    requeue,
    on,

    linkEnded(link, isRepeatable, code) {
      for (const id of on(link)) {
        // Else it would end each connection that it is repeated on.
        if (code === 1009 && bytesOf(pending.get(id)?.data) > maxFrameBytes - 256) refuse(id, problem('too_large', id));
        else if (isRepeatable) requeue(id);
        else refuse(id, problem('unavailable', id));
      }
    },

    refuseAll(reason) {
      for (const id of pending.keys()) refuse(id, problem('closed', id, reason));
    },
  };
}

function bytesOf(text: string | undefined): number {
  return new TextEncoder().encode(text).length;
}
