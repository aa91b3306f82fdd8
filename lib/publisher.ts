import { setTimeout as sleep } from 'node:timers/promises';
import type { OutgoingMessage } from './amqp';
import { before } from './deadline';
import { GatewayError } from './errors';
import { Link } from './link';

/**
 * Publishes with the promise of an ack: `publish` resolves only when RabbitMQ has confirmed the message and routed it.
 * One link serves all concurrent calls; a dead one is replaced and the message sent again under the same messageId, so
 * that it is in the queue at least once and a consumer can tell the copy.
 */

export interface Publisher {
  /**
   * Resolves once the message is in a queue. Rejects with GatewayError `unroutable` when there is no such queue, and
   * with `unavailable` when the broker did not take the message before `deadline` (milliseconds since 1970): then it
   * may still arrive. `invalid_message` tells properties that AMQP cannot express.
   */
  publish(message: OutgoingMessage, deadline: number): Promise<void>;
  close(): Promise<void>;
}

export interface PublisherOptions {
  url: string;
  heartbeatSeconds?: number;
  /** The longest that a link may take to open, and may then be silent while it owes a confirm, milliseconds. */
  attemptMs?: number;
}

const pauseMs = 100;

export class AmqpPublisher implements Publisher {
  readonly #url: string;
  readonly #heartbeatSeconds: number;
  readonly #attemptMs: number;
  readonly #underWay = new Map<string, Promise<void>>();
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;

  constructor({ url, heartbeatSeconds = 30, attemptMs = 2000 }: PublisherOptions) {
    this.#url = url;
    this.#heartbeatSeconds = heartbeatSeconds;
    this.#attemptMs = attemptMs;
  }

  async publish(message: OutgoingMessage, deadline: number): Promise<void> {
    const { messageId } = message.properties;
    // Messages of one id take turns: the broker's returns are told apart by it.
    while (this.#underWay.has(messageId)) await this.#underWay.get(messageId)?.catch(() => undefined);
    const publishing = this.#publish(message, deadline);
    this.#underWay.set(messageId, publishing);
    try {
      await publishing;
    } finally {
      this.#underWay.delete(messageId);
    }
  }

  async #publish(message: OutgoingMessage, deadline: number): Promise<void> {
    let cause: unknown;
    for (let attempt = 0; Date.now() < deadline; attempt += 1) {
      // The first retry follows at once: the common fault is a link that died while the process was frozen.
      if (attempt > 1) await sleep(Math.min(pauseMs * attempt, deadline - Date.now()));
      let link: Link | undefined;
      try {
        link = this.#readyLink() ?? (await before(deadline, this.#openLink()));
      } catch (error) {
        cause = error;
        continue;
      }
      if (link === undefined || Date.now() >= deadline) break;
      if (link.blocked) throw unavailable('The broker takes no messages at the moment; send it again later.');
      switch (await link.publish(message, { silenceMs: this.#attemptMs, deadline })) {
        case 'confirmed':
          return;
        case 'unroutable':
          throw new GatewayError('unroutable', 'No service takes messages at the moment: their queue does not exist.');
        case 'nacked':
          throw unavailable('The broker refused the message for now; send it again later.');
        case 'unwritable':
          throw new GatewayError('invalid_message', 'This cannot be written as an AMQP message.');
        case 'unknown':
        // Again, under the same messageId.
      }
    }
    throw unavailable('The broker did not confirm the message in time; send it again.', cause);
  }

  async close(): Promise<void> {
    const link = await (this.#opening?.catch(() => undefined) ?? this.#link);
    this.#link = undefined;
    await link?.close();
  }

  /** The shared link, if it is there and can be trusted. */
  #readyLink(): Link | undefined {
    const link = this.#link;
    if (link === undefined || link.usable) return link;
    this.#link = undefined;
    void link.close();
    return undefined;
  }

  /** A new one, opened once however many calls wait for it. */
  #openLink(): Promise<Link> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Link> {
    try {
      const options = {
        url: this.#url,
        openTimeoutMs: this.#attemptMs,
        heartbeatSeconds: this.#heartbeatSeconds,
      };
      this.#link = await Link.open(options);
      return this.#link;
    } finally {
      this.#opening = undefined;
    }
  }
}

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('unavailable', message, { cause });
}
