import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Memory of the process behind a port of this machine, as Linux counts it; elsewhere there is none to read. */

interface ResidentMemory {
  readonly nowBytes: number;
  /** The most there ever was. */
  readonly peakBytes: number;
}

/** Undefined where /proc does not say, or where the process is another user's. */
export function listenerPid(port: number): number | undefined {
  const files = new Set(listeners().flatMap((listener) => (listener.port === port ? [listener.file] : [])));
  return pids().find((pid) => openFiles(pid).some((file) => files.has(file)));
}

/** All ports on which the process listens. */
export function listenedPorts(pid: number): number[] {
  const files = new Set(openFiles(pid));
  return [...new Set(listeners().flatMap(({ port, file }) => (files.has(file) ? [port] : [])))];
}

export function residentMemory(pid: number): ResidentMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { nowBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

/** Sockets that listen, as /proc names them among a process's files. */
function listeners(): { port: number; file: string }[] {
  const lines = ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) =>
    orNone(() => readFileSync(table, 'utf8').trim().split('\n').slice(1)),
  );
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode] = line.trim().split(/\s+/);
    return state === '0A' ? [{ port: Number.parseInt(local.split(':')[1] ?? '', 16), file: `socket:[${inode}]` }] : [];
  });
}

function pids(): number[] {
  return orNone(() => readdirSync('/proc').filter((name) => /^\d+$/.test(name))).map(Number);
}

function openFiles(pid: number): string[] {
  const folder = `/proc/${pid}/fd`;
  return orNone(() => readdirSync(folder)).flatMap((fd) => orNone(() => [readlinkSync(`${folder}/${fd}`)]));
}

/** Processes and files come and go while they are looked at. */
function orNone<T>(read: () => T[]): T[] {
  try {
    return read();
  } catch {
    return [];
  }
}
