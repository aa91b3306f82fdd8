import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Memory of the process behind a port of this machine, as Linux counts it; elsewhere there is none to read. */

interface ResidentMemory {
  readonly nowBytes: number;
  /** The most there ever was. */
  readonly peakBytes: number;
}

/** Undefined where /proc does not say, or where the process is another user's. */
export function listenerPid(port: number): number | undefined {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
  return pids().find((pid) => openFiles(pid).some((file) => inodes.has(/^socket:\[(\d+)\]$/.exec(file)?.[1] ?? '')));
}

export function residentMemory(pid: number): ResidentMemory {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const bytes = (field: string) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) * 1024;
  return { nowBytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') };
}

function listeningInodes(table: string, port: number): string[] {
  const lines = orNone(() => readFileSync(table, 'utf8').trim().split('\n').slice(1));
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === '0A' && Number.parseInt(local.split(':')[1] ?? '', 16) === port ? [inode] : [];
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
