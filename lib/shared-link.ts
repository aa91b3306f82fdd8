import type { Credentials } from './credentials';
import { before } from './deadline';
import { loggedIn } from './dial';
import { Link, type LinkOptions } from './link';

/**
 * The one link of all who publish: opened once however many wait for it, replaced when it can no longer be trusted.
 */

export interface SharedLinkOptions extends Omit<LinkOptions, 'login'> {
  credentials: Credentials;
}

/** How long a link that is just being opened is waited for, to take leave of the broker. */
const openingMs = 1000;

export class SharedLink {
  readonly #options: SharedLinkOptions;
  #link: Link | undefined;
  #opening: Promise<Link> | undefined;
  #closed = false;

  constructor(options: SharedLinkOptions) {
    this.#options = options;
  }

  /** The link, if it is there and can be trusted. */
  get ready(): Link | undefined {
    const link = this.#link;
    if (link === undefined || link.usable) return link;
    this.#link = undefined;
    void link.close();
    return undefined;
  }

  /** Rejects when the broker cannot be reached, with LoginError when it, or the secret, refuses the gateway. */
  open(): Promise<Link> {
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** For good. */
  async close(): Promise<void> {
    this.#closed = true;
    // One that opens later is of no use, and closes by itself when it has been idle.
    if (this.#opening !== undefined)
      await before(
        Date.now() + openingMs,
        this.#opening.catch(() => undefined),
      );
    await this.#link?.close();
  }

  async #open(): Promise<Link> {
    if (this.#closed) throw new Error('the publisher is closed');
    this.#link = await loggedIn(this.#options.credentials, (login) => Link.open({ ...this.#options, login }));
    return this.#link;
  }
}
