import crypto from 'node:crypto';
import promises from 'node:timers/promises';
import type { Simulation } from './simulation';

/** Puts a simulation in the place of Node's clock, timers and randomness, for all code of this process. */

let world: Simulation | undefined;
const originals = {
  now: Date.now,
  stackTraceLimit: Error.stackTraceLimit,
  setTimeout: globalThis.setTimeout,
  clearTimeout: globalThis.clearTimeout,
  setInterval: globalThis.setInterval,
  clearInterval: globalThis.clearInterval,
  sleep: promises.setTimeout,
  randomBytes: crypto.randomBytes,
  randomUUID: crypto.randomUUID,
  randomInt: crypto.randomInt,
  getRandomValues: globalThis.crypto.getRandomValues,
};

/** From now on time is this one's. */
export function liveIn(simulation: Simulation): void {
  world = simulation;
}

function current(): Simulation {
  if (world === undefined) throw new Error('There is no simulation to live in.');
  return world;
}

export function enterTheWorld(): void {
  Date.now = () => current().now;
  // An aborted timer makes an error each time, of which nobody reads where it came from.
  Error.stackTraceLimit = 0;
  Object.assign(globalThis, {
    setTimeout: (act: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) =>
      current().setTimer(() => act(...args), ms),
    clearTimeout: (timer: unknown) => current().clearTimer(timer),
    setInterval: (act: () => void, ms: number) => current().setTimer(act, ms, true),
    clearInterval: (timer: unknown) => current().clearTimer(timer),
  });
  Object.assign(promises, { setTimeout: sleep });
  Object.assign(crypto, {
    randomBytes,
    randomUUID,
    randomInt: (below: number) => current().random() % below,
  });
  globalThis.crypto.getRandomValues = (array) => {
    if (array instanceof Uint32Array) array.set(Array.from(array, () => current().random()));
    return array;
  };
}

export function leaveTheWorld(): void {
  const { now, stackTraceLimit, sleep, randomBytes, randomUUID, randomInt, getRandomValues, ...timers } = originals;
  Date.now = now;
  Error.stackTraceLimit = stackTraceLimit;
  Object.assign(globalThis, timers);
  Object.assign(promises, { setTimeout: sleep });
  Object.assign(crypto, { randomBytes, randomUUID, randomInt });
  globalThis.crypto.getRandomValues = getRandomValues;
}

function randomBytes(size: number): Buffer {
  const words = Uint32Array.from({ length: Math.ceil(size / 4) }, () => current().random());
  return Buffer.from(words.buffer, 0, size);
}

function randomUUID(): string {
  const hex = randomBytes(16).toString('hex');
  return hex.replace(/^(.{8})(.{4}).(.{3}).(.{3})/, '$1-$2-4$3-8$4-');
}

function sleep<T>(ms: number, value?: T, { signal }: { signal?: AbortSignal } = {}): Promise<T | undefined> {
  const { setTimer, clearTimer } = {
    setTimer: current().setTimer.bind(world),
    clearTimer: current().clearTimer.bind(world),
  };
  return new Promise((resolve, reject) => {
    const timer = setTimer(() => resolve(value), ms);
    signal?.addEventListener('abort', () => {
      clearTimer(timer);
      reject(signal.reason);
    });
  });
}
