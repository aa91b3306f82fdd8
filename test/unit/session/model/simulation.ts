/**
 * A world of its own for code that waits: its clock, its timers and its randomness. What happens next is one of the steps that
 * are ready, or the next timer, and whoever drives the world picks; between two picks all code runs until it waits. The same
 * picks from the same seed give the same course to the last detail.
 */

/** What runs by itself and can be killed: from then on none of its steps is taken. */
export interface Life {
  alive: boolean;
}

interface Step {
  label: string;
  life: Life | undefined;
  /** Of a request that is under way, which arrives even if whoever sent it is killed meanwhile. */
  survives: boolean;
  take(): void;
}

interface Timer {
  id: number;
  at: number;
  act(): void;
  /** Of one that repeats itself. */
  delayMs?: number;
}

/** Names of steps that fail: how many more of the kind go well before that. */
interface Fault {
  label: string;
  skip: number;
}

/** How far a pick may move the clock: what waits for longer is slower than any request. */
const nearMs = 10_000;

export class Simulation {
  now = Date.UTC(2026, 0, 2);
  readonly trace: string[] = [];
  #ready: Step[] = [];
  #timers: Timer[] = [];
  #faults: Fault[] = [];
  /** Labels of steps that all fail, until when. */
  #outages = new Map<string, number>();
  #lastTimer = 0;
  #random: number;

  constructor(seed: number) {
    this.#random = seed | 0;
  }

  /** Resolves once the step is picked; rejects then if a fault was arranged for it. */
  step(label: string, { life, survives = false }: { life?: Life | undefined; survives?: boolean } = {}): Promise<void> {
    if (life?.alive === false) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      const take = () => (this.#isToFail(label) ? reject(new Error(`${label} failed`)) : resolve());
      this.#ready.push({ label, life, survives, take });
    });
  }

  /** The step with this label after `skip` others fails. */
  arrangeFault(label: string, skip: number): void {
    this.#faults.push({ label, skip });
  }

  /** All steps with this label fail for that long. */
  arrangeOutage(label: string, ms: number): void {
    this.#outages.set(label, this.now + ms);
  }

  clearFaults(): void {
    this.#faults = [];
    this.#outages.clear();
  }

  kill(life: Life): void {
    life.alive = false;
    this.#ready = this.#ready.filter((step) => step.life !== life || step.survives);
  }

  get hasReady(): boolean {
    return this.#ready.length > 0;
  }

  /** Milliseconds since 1970. */
  get nextTimerAt(): number | undefined {
    return this.#timers[0]?.at;
  }

  /** Takes one of what could happen next: the steps in the order in which they became ready, at last the next timer. */
  async pick(choice: number): Promise<void> {
    const timerIsNear = (this.nextTimerAt ?? Number.POSITIVE_INFINITY) <= this.now + nearMs;
    const [step] = this.#ready.splice(choice % Math.max(1, this.#ready.length + (timerIsNear ? 1 : 0)), 1);
    if (step !== undefined) {
      this.note(step.label);
      this.now += 1;
      step.take();
    } else if (timerIsNear) this.#passTime();
    await settled();
  }

  #passTime(): void {
    const timer = this.#timers.shift();
    if (timer === undefined) return;
    this.now = Math.max(this.now, timer.at);
    if (timer.delayMs !== undefined) this.#addTimer({ ...timer, at: this.now + timer.delayMs });
    timer.act();
  }

  /** Takes the steps in their order and the timers in theirs, until the time has come and nothing is ready. */
  async run(ms: number, until: () => boolean = () => false): Promise<void> {
    const end = this.now + ms;
    while (!until()) {
      if (this.hasReady) await this.pick(0);
      else if ((this.nextTimerAt ?? Number.POSITIVE_INFINITY) <= end) {
        this.#passTime();
        await settled();
      } else break;
    }
    if (!until()) this.now = Math.max(this.now, end);
  }

  note(line: string): void {
    this.trace.push(`${this.now % 100_000_000} ${line}`);
  }

  setTimer(act: () => void, delayMs = 0, isRepeated = false): number {
    this.#lastTimer += 1;
    this.#addTimer({
      id: this.#lastTimer,
      at: this.now + Math.max(0, Math.round(delayMs)),
      act,
      ...(isRepeated ? { delayMs } : {}),
    });
    return this.#lastTimer;
  }

  #addTimer(timer: Timer): void {
    const later = this.#timers.findIndex(({ at }) => at > timer.at);
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer);
  }

  clearTimer(id: unknown): void {
    this.#timers = this.#timers.filter((timer) => timer.id !== id);
  }

  /** 32 bits (mulberry32). */
  random(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  #isToFail(label: string): boolean {
    if (this.now < (this.#outages.get(label) ?? 0)) return true;
    const fault = this.#faults.find((arranged) => arranged.label === label && arranged.skip-- === 0);
    if (fault === undefined) return false;
    this.#faults.splice(this.#faults.indexOf(fault), 1);
    this.note(`... which fails`);
    return true;
  }
}

/** All code has run until it waits for something of the simulation. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
