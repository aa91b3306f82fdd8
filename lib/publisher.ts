import { setTimeout as sleep } from 'node:timers/promises';
import type { OutgoingMessage } from './amqp';
import { type BackOff, fullJitterMs } from './backoff';
import { type Credentials, LoginError, urlCredentials } from './credentials';
import { before } from './deadline';
import { GatewayError } from './errors';
import type { PublishOutcome, Refused } from './link';
import { SharedLink } from './shared-link';
import { slots } from './slots';

/**
 * Publishes with the promise of an ack: `publish` resolves only when RabbitMQ has confirmed the message and routed it.
 * One link serves all concurrent calls; a dead one is replaced and the same message sent again, so that it is in the
 * queue at least once, and a consumer can tell the copy by its messageId.
 */

export interface Publisher {
  /**
   * Resolves once the message is in a queue. Rejects with GatewayError `unroutable` when there is no such queue, and
   * with `unavailable` when the broker did not take the message before `deadline` (milliseconds since 1970): then it
   * may still arrive. `too_large` tells a body above what the broker takes, `invalid_message` properties that AMQP
   * cannot express or that the broker does not accept; neither was sent to a queue.
   */
  publish(message: OutgoingMessage, deadline: number): Promise<void>;
  /** For who is about to publish: connects, unless it is connected. Never fails; what it met, the message will meet. */
  prepare(): void;
  /** Takes no more messages, waits a moment for those under way, and says goodbye to the broker. */
  close(): Promise<void>;
}

export interface PublisherOptions {
  /** The broker; its username and password count only where there are no `credentials`. */
  url: string;
  credentials?: Credentials;
  /** Proposed to the broker where the URL has no `?heartbeat=`; a link idle for longer than agreed is not trusted. */
  heartbeatSeconds?: number;
  /**
   * The longest that a link may be silent while it owes a confirm, milliseconds. To open, with eight round trips, it has
   * twice that.
   */
  attemptMs?: number;
  /** The largest body; the default is that of RabbitMQ 4. Where the broker's own limit is lower, it is learnt from it. */
  maxMessageBytes?: number;
}

const backOff: BackOff = { pauseMs: 100, longestPauseMs: 2000 };
const closeMs = 1000;
/** A broker that cannot be had is not tried ahead of each message. */
const prepareAgainMs = 1000;

export class AmqpPublisher implements Publisher {
  readonly #links: SharedLink;
  /** For messages of which one has ended the link of all: one at a time, so that each speaks for itself. */
  readonly #suspectLinks: SharedLink;
  readonly #oneByOne = slots(1);
  readonly #underWay = new Set<Promise<void>>();
  #maxMessageBytes: number;
  #closing = false;
  /** When a link could last not be opened ahead. */
  #refusedAt = 0;

  constructor({
    url,
    credentials = urlCredentials(url),
    heartbeatSeconds = 30,
    attemptMs = 2000,
    maxMessageBytes = 16 * 1024 * 1024,
  }: PublisherOptions) {
    const options = { url, credentials, heartbeatSeconds, openTimeoutMs: 2 * attemptMs, silenceMs: attemptMs };
    this.#links = new SharedLink(options);
    this.#suspectLinks = new SharedLink(options);
    this.#maxMessageBytes = maxMessageBytes;
  }

  prepare(): void {
    if (this.#closing || this.#links.ready !== undefined || Date.now() - this.#refusedAt < prepareAgainMs) return;
    this.#links.open().catch(() => {
      this.#refusedAt = Date.now();
    });
  }

  async publish(message: OutgoingMessage, deadline: number): Promise<void> {
    if (this.#closing) throw unavailable('The gateway is shutting down; send it again.');
    const publishing = this.#publish(message, deadline);
    this.#underWay.add(publishing);
    try {
      await publishing;
    } finally {
      this.#underWay.delete(publishing);
    }
  }

  async close(): Promise<void> {
    this.#closing = true;
    await before(Date.now() + closeMs, Promise.allSettled(this.#underWay));
    await Promise.all([this.#links.close(), this.#suspectLinks.close()]);
  }

  async #publish(message: OutgoingMessage, deadline: number): Promise<void> {
    let cause: unknown;
    let suspect = false;
    for (let attempt = 0; Date.now() < deadline; attempt += 1) {
      this.#refuseTooLarge(message);
      // The first retry follows at once: the common fault is a link that died while the process was frozen.
      if (attempt > 1) await sleep(Math.min(fullJitterMs(attempt - 2, backOff), Math.max(0, deadline - Date.now())));
      if (attempt > 0 && this.#closing) break;
      let outcome: PublishOutcome | undefined;
      try {
        outcome = suspect
          ? await before(
              deadline,
              this.#oneByOne('first', () => attemptOn(this.#suspectLinks, message, deadline)),
            )
          : await attemptOn(this.#links, message, deadline);
      } catch (error) {
        if (error instanceof LoginError) throw unavailable(notNow, error);
        cause = error;
        continue;
      }
      switch (outcome?.result) {
        case 'confirmed':
          return;
        case 'unroutable':
          throw new GatewayError('unroutable', 'No service takes messages at the moment: their queue does not exist.');
        case 'nacked':
          throw unavailable('The broker refused the message for now; send it again later.');
        case 'unwritable':
          throw new GatewayError('invalid_message', 'This cannot be written as an AMQP message.');
        case 'blocked':
          throw unavailable(notNow);
        case 'refused':
          this.#learnLimit(outcome.words);
          this.#refuseTooLarge(message);
          if (outcome.alone) throw refusal(outcome);
          suspect = true;
          break;
        case 'unknown':
        case undefined:
        // Again, the same message.
      }
    }
    throw unavailable('The broker did not confirm the message in time; send it again.', cause);
  }

  #refuseTooLarge({ body }: OutgoingMessage): void {
    if (body.length <= this.#maxMessageBytes) return;
    throw new GatewayError('too_large', `The broker takes messages of at most ${this.#maxMessageBytes} bytes.`);
  }

  #learnLimit(words: string): void {
    const [, limit] = /message size \d+ is larger than (?:configured )?max size (\d+)/.exec(words) ?? [];
    if (limit !== undefined) this.#maxMessageBytes = Math.min(this.#maxMessageBytes, Number(limit));
  }
}

async function attemptOn(links: SharedLink, message: OutgoingMessage, deadline: number): Promise<PublishOutcome> {
  const link = links.ready ?? (await before(deadline, links.open()));
  if (link === undefined || Date.now() >= deadline) return { result: 'unknown' };
  return link.publish(message, deadline);
}

/** With what a broker answers a message that is at fault itself: a property that it does not take, too large a frame. */
const messageFaults = [406, 501, 502];

function refusal({ code, words }: Refused): GatewayError {
  const cause = new Error(words);
  if (!messageFaults.includes(code)) return unavailable(notNow, cause);
  return new GatewayError('invalid_message', 'The broker does not take a message like this.', { cause });
}

const notNow = 'The broker takes no messages at the moment; send it again later.';

function unavailable(message: string, cause?: unknown): GatewayError {
  return new GatewayError('unavailable', message, { cause });
}
