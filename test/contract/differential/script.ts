import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type ConnectOptions, type ScriptChannel, ScriptConnection } from './script-connection';
import { Wire } from './wire';

/**
 * A scenario is a script of what clients do; its transcript is every method they sent and every answer they took, line by
 * line, but for the opening of connections and channels where that is not the subject. The same script run against two brokers gives the same transcript, or the brokers differ. What a broker may
 * do in any order (a delivery and a confirm) stands in the order in which the script takes it, and what no step took
 * stands at the end, so nothing that came is left out.
 */

export interface Scenario {
  readonly name: string;
  /** Where releases of RabbitMQ differ: the one that this follows, and how others do it. */
  readonly follows?: string;
  run(script: Script): Promise<void>;
}

/** What a script needs of a broker beside its port. It has a second virtual host, named `second`. */
export interface Target {
  readonly url: string;
  setMemoryAlarm(on: boolean): Promise<void>;
  /** Closes them as an operator does, with 320. */
  closeConnections(virtualHost: string, reason: string): Promise<void>;
}

/** The lines of one run. @throws (rejects) with the lines so far when a step waits in vain */
export async function transcriptOf(scenario: Scenario, target: Target): Promise<string> {
  const script = new Script(target);
  if (scenario.follows !== undefined) script.note(`(follows ${scenario.follows})`);
  try {
    await scenario.run(script);
    await script.finish();
  } catch (error) {
    throw new Error(`${(error as Error).message}; so far:\n${script.transcript()}`, { cause: error });
  } finally {
    await script.cleanUp();
  }
  return script.transcript();
}

export class Script {
  readonly #target: Target;
  readonly #prefix = `d${randomBytes(4).toString('hex')}.`;
  readonly #names = new Set<string>();
  readonly #connections: ScriptConnection[] = [];
  readonly #lines: string[] = [];

  constructor(target: Target) {
    this.#target = target;
  }

  /** A name for a queue or exchange that no other run has; the transcript shows the base. Both are deleted after the run. */
  name(base: string): string {
    const name = `${this.#prefix}${base}`;
    this.#names.add(name);
    return name;
  }

  /** Writes a line of the script's own. */
  note(text: string): void {
    this.#lines.push(text);
  }

  /** For what happens by time: messages and queues that expire. */
  elapse(milliseconds: number): Promise<void> {
    this.note(`(${milliseconds} ms pass)`);
    return sleep(milliseconds);
  }

  async setMemoryAlarm(on: boolean): Promise<void> {
    this.note(`(the memory alarm goes ${on ? 'up' : 'down'})`);
    await this.#target.setMemoryAlarm(on);
  }

  async closeConnections(virtualHost: string, reason: string): Promise<void> {
    this.note(`(the operator closes the connections of ${virtualHost})`);
    await this.#target.closeConnections(virtualHost, reason);
  }

  /** A socket on which nothing has been said. */
  async dial(): Promise<ScriptConnection> {
    const label = String.fromCharCode('a'.charCodeAt(0) + this.#connections.length);
    const connection = new ScriptConnection(await Wire.dial(this.#target.url), label, (line) => this.note(line));
    this.#connections.push(connection);
    return connection;
  }

  /** A connection that is open; its handshake is not in the transcript. */
  async connect(options: ConnectOptions = {}): Promise<ScriptConnection> {
    const connection = await this.dial();
    await connection.handshake(options);
    return connection;
  }

  /** A channel that is open, on a connection of its own. */
  async open(options: ConnectOptions = {}): Promise<ScriptChannel> {
    return (await this.connect(options)).channel(1);
  }

  /** Gives the broker the time to say all that it has to say, and writes what no step took. */
  async finish(): Promise<void> {
    const probe = await this.connect();
    // A queue answers after what it has sent before, and a channel after what it was given.
    for (const [index, name] of [...this.#names].entries()) {
      const channel = await probe.channel(index + 1);
      await channel.quietly('queue.declare', { queue: name, passive: true });
    }
    for (const connection of this.#connections) await connection.settle();
    for (const connection of this.#connections) this.#lines.push(...connection.untaken());
  }

  async cleanUp(): Promise<void> {
    const cleaner = await this.connect();
    for (const connection of this.#connections) if (connection !== cleaner) await connection.close();
    let number = 0;
    for (const name of this.#names) {
      await (await cleaner.channel(++number)).quietly('queue.delete', { queue: name });
      await (await cleaner.channel(++number)).quietly('exchange.delete', { exchange: name });
    }
    await cleaner.close();
  }

  /** With names that every run makes anew replaced by what is the same in all. */
  transcript(): string {
    const numbers = new Map<string, string>();
    const numbered = (pattern: RegExp, kind: string, text: string) => {
      let count = 0;
      return text.replace(pattern, (found) => {
        const known = numbers.get(found) ?? `${kind}(${++count})`;
        numbers.set(found, known);
        return known;
      });
    };
    const text = this.#lines.join('\n').replaceAll(this.#prefix, '');
    const queues = numbered(/amq\.gen-[\w-]{22}/g, 'amq.gen-', text);
    const tags = numbered(/amq\.ctag-[\w-]{22}/g, 'amq.ctag-', queues);
    return numbered(/amq\.rabbitmq\.reply-to\.[\w+/=.-]+/g, 'amq.rabbitmq.reply-to.', tags);
  }
}
