import type { Log } from '../../lib/log';

/** A log for parts under test that need one. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
