import type { Properties } from '../../../infra/local/broker/codec';
import type { MethodName } from '../../../infra/local/broker/methods';
import { PROTOCOL_HEADER } from '../../helpers/amqp-frames';
import { type Plain, print, printArguments, printContent, tableOf, unwritten, type Written } from './values';
import type { Received, Wire } from './wire';

/** The connections and channels of a script: each step sends or takes something, and writes its line. */

export interface ConnectOptions {
  user?: string;
  password?: string;
  virtualHost?: string;
  capabilities?: { readonly [name: string]: Plain };
  channelMax?: number;
  frameMax?: number;
  heartbeat?: number;
}

export interface Publishing {
  exchange?: string;
  routingKey?: string;
  mandatory?: boolean;
  immediate?: boolean;
  properties?: Omit<Properties, 'headers'> & { headers?: { readonly [name: string]: Plain } };
  body?: string;
}

const ALL_CAPABILITIES = {
  publisher_confirms: true,
  'basic.nack': true,
  consumer_cancel_notify: true,
  'connection.blocked': true,
  authentication_failure_close: true,
};

export class ScriptConnection {
  readonly wire: Wire;
  readonly label: string;
  readonly record: (line: string) => void;
  /** Until its close, or the answer to it, was taken. */
  isOpen = true;
  readonly #channels = new Map<number, ScriptChannel>();

  constructor(wire: Wire, label: string, record: (line: string) => void) {
    this.wire = wire;
    this.label = label;
    this.record = record;
  }

  async handshake(options: ConnectOptions): Promise<void> {
    const { user = 'guest', password = 'guest', virtualHost = '/', capabilities = ALL_CAPABILITIES } = options;
    const { channelMax = 2047, frameMax = 131_072, heartbeat = 0 } = options;
    const expected = async (name: MethodName) => {
      const received = await this.wire.take(({ channel }) => channel === 0);
      if (received?.method.name !== name) throw new Error(`${received?.method.name} came instead of ${name}`);
    };
    this.wire.write(PROTOCOL_HEADER);
    await expected('connection.start');
    this.wire.send(0, 'connection.start-ok', {
      clientProperties: tableOf({ capabilities }),
      mechanism: 'PLAIN',
      response: Buffer.from(`\0${user}\0${password}`),
      locale: 'en_US',
    });
    await expected('connection.tune');
    this.wire.send(0, 'connection.tune-ok', { channelMax, frameMax, heartbeat });
    this.wire.frameMaxBytes = frameMax;
    this.wire.send(0, 'connection.open', { virtualHost });
    await expected('connection.open-ok');
  }

  /** Opened, unless it is already, without a line in the transcript. */
  async channel(number: number): Promise<ScriptChannel> {
    const channel = this.unopened(number);
    if (!channel.isOpen) await channel.quietly('channel.open', {});
    return channel;
  }

  /** A channel number that nobody opened; 0 is the connection itself. */
  unopened(number: number): ScriptChannel {
    const channel = this.#channels.get(number) ?? new ScriptChannel(this, number);
    this.#channels.set(number, channel);
    return channel;
  }

  /** The connection's own methods. */
  get control(): ScriptChannel {
    return this.unopened(0);
  }

  /** Bytes as they are, with what the transcript says of them. */
  write(what: string, bytes: Buffer): void {
    this.record(`${this.label}  > ${what}`);
    this.wire.write(bytes);
  }

  /** Takes the end of the socket, and the protocol header if that is what the server says before. */
  async hungUp(): Promise<void> {
    await this.wire.hungUp();
    if (this.wire.header !== undefined) this.record(`${this.label}  < header ${this.wire.header.toString('hex')}`);
    this.record(`${this.label}  < (the socket ended)`);
  }

  /** Lets every open channel answer, so that what was on its way has come. */
  async settle(): Promise<void> {
    for (const channel of this.#channels.values()) {
      if (channel.number > 0 && channel.isOpen && this.isOpen) await channel.settle();
    }
  }

  /** Sorted: what no step waited for may come in any order. */
  untaken(): string[] {
    const lines = this.wire
      .rest()
      .map((received) => `${this.label}${received.channel} < (not taken) ${print(received)}`);
    return lines.sort();
  }

  async close(): Promise<void> {
    if (!this.wire.ended && this.isOpen) {
      this.wire.send(0, 'connection.close', { replyCode: 200 });
      await this.wire.take(({ method }) => method.name === 'connection.close-ok').catch(() => undefined);
    }
    this.wire.destroy();
  }
}

export class ScriptChannel {
  readonly connection: ScriptConnection;
  readonly number: number;
  isOpen = false;
  #published = 0;
  #confirmed: string[] = [];
  readonly #unconfirmed = new Set<number>();
  #confirms = false;

  constructor(connection: ScriptConnection, number: number) {
    this.connection = connection;
    this.number = number;
  }

  /** Sends a method and takes its answer, or the close that came instead of it. */
  async call<N extends MethodName>(name: N, args: Written<N> = {}): Promise<Received | undefined> {
    this.cast(name, args);
    if ('nowait' in args && args.nowait) return undefined;
    const answers = name === 'basic.get' ? ['basic.get-ok', 'basic.get-empty'] : [`${name}-ok`];
    const answer = await this.#take(answers);
    if (name === 'confirm.select') this.#confirms = true;
    return this.#recorded(answer);
  }

  /** Sends a method that has no answer, or whose answer is taken later. */
  cast<N extends MethodName>(name: N, args: Written<N> = {}): void {
    const raw = unwritten(args);
    this.#sent(`${name}${printArguments(raw)}`);
    this.connection.wire.send(this.number, name, raw);
  }

  /** Asks without a line in the transcript; false when the channel was closed for it. */
  async quietly<N extends MethodName>(name: N, args: Written<N>): Promise<boolean> {
    this.connection.wire.send(this.number, name, unwritten(args));
    const answer = await this.#take([`${name}-ok`]);
    if (answer?.method.name === 'connection.close') this.#recorded(answer);
    this.isOpen = answer?.method.name === `${name}-ok`;
    return this.isOpen;
  }

  publish(publishing: Publishing): void {
    const { exchange = '', routingKey = '', mandatory = false, immediate = false, body = 'body' } = publishing;
    const { headers, ...simple } = publishing.properties ?? {};
    const properties: Properties = headers === undefined ? simple : { ...simple, headers: tableOf(headers) };
    const args = { exchange, routingKey, mandatory, immediate };
    const content = printContent(properties, Buffer.from(body));
    this.#sent(`basic.publish${printArguments(args)} ${content}`);
    this.#published += 1;
    if (this.#confirms) this.#unconfirmed.add(this.#published);
    this.connection.wire.sendContent(this.number, args, properties, Buffer.from(body));
  }

  /** Takes that many methods of the name, in the order they came, passing over others. */
  async receive(name: MethodName, count = 1): Promise<(Received | undefined)[]> {
    const all: (Received | undefined)[] = [];
    for (let index = 0; index < count; index += 1) {
      const received = this.#recorded(await this.#take([name]));
      all.push(received);
      if (received?.method.name !== name) break;
    }
    return all;
  }

  /** Takes deliveries. */
  deliveries(count = 1): Promise<(Received | undefined)[]> {
    return this.receive('basic.deliver', count);
  }

  /** Takes whatever comes, in the order it came: for what the broker must say in one order only. */
  async next(count = 1): Promise<void> {
    for (let index = 0; index < count; index += 1) {
      const received = await this.connection.wire.take(
        ({ channel, method }) => channel === this.number || method.name === 'connection.close',
      );
      this.#recorded(received);
    }
  }

  /** Waits until that many publishes are confirmed; one by one or several at once is the broker's choice and not in the transcript. */
  async confirms(count = 1): Promise<void> {
    while (this.#confirmed.length < count) {
      const received = await this.#take(['basic.ack', 'basic.nack']);
      if (received?.method.name !== 'basic.ack' && received?.method.name !== 'basic.nack') {
        this.#recorded(received);
        return;
      }
      const { name, args } = received.method;
      const tag = Number(args.deliveryTag);
      for (const number of args.multiple ? [...this.#unconfirmed].filter((other) => other <= tag) : [tag]) {
        this.#unconfirmed.delete(number);
        this.#confirmed.push(`${String(number).padStart(4)} ${name === 'basic.ack' ? 'ack' : 'nack'}`);
      }
    }
    const taken = this.#confirmed.splice(0, count).sort();
    for (const confirmed of taken) this.#line(`< confirm ${confirmed.trim()}`);
  }

  /** Sees to it that nothing more came, after the broker had the time to answer. */
  async nothing(): Promise<void> {
    await this.connection.settle();
    const lines = this.connection.untaken();
    if (lines.length === 0) this.#line('< (nothing)');
    for (const line of lines) this.connection.record(line);
  }

  /** Lets the broker answer, unless it has closed: then that is what it had to say. */
  async settle(): Promise<void> {
    const { wire } = this.connection;
    if (!wire.holds((received) => this.#isEnd(received))) {
      if (wire.ended) return;
      wire.send(this.number, 'channel.flow', { active: true });
    }
    const answer = await this.#take(['channel.flow-ok']);
    if (answer?.method.name !== 'channel.flow-ok') this.#recorded(answer);
  }

  async #take(names: readonly string[]): Promise<Received | undefined> {
    return this.connection.wire.take(
      (received) => this.#isEnd(received) || (received.channel === this.number && names.includes(received.method.name)),
    );
  }

  #isEnd({ channel, method }: Received): boolean {
    return method.name === 'connection.close' || (channel === this.number && method.name === 'channel.close');
  }

  #recorded(received: Received | undefined): Received | undefined {
    if (received?.method.name === 'channel.close' || received?.method.name === 'channel.close-ok') this.isOpen = false;
    if (received?.method.name === 'channel.open-ok') this.isOpen = true;
    if (received?.method.name.startsWith('connection.close')) this.connection.isOpen = false;
    this.#line(received === undefined ? '< (the socket ended)' : `< ${print(received)}`);
    return received;
  }

  #sent(text: string): void {
    this.#line(`> ${text}`);
  }

  #line(text: string): void {
    this.connection.record(`${this.connection.label}${this.number} ${text}`);
  }
}
