import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { type Parameters, readParameters } from '../../infra/parameters';

/** What serverless.yml falls back to where neither a parameter nor a variable is given. */
export function usualTexts(): Record<string, string> {
  const { custom } = parse(readFileSync(join(__dirname, '../../serverless.yml'), 'utf8'), { logLevel: 'silent' });
  const entries = Object.entries<string>(custom.gateway);
  return Object.fromEntries(entries.map(([name, text]) => [name, /'([^']*)'\}$/.exec(text)?.[1] ?? '?']));
}

/** What a deployment without environment variables makes of these texts. */
export function parametersOf(texts: Readonly<Record<string, unknown>>, stage = 'dev'): Parameters {
  return readParameters(
    { ...usualTexts(), ...texts },
    { service: 'ws-gateway', stage, region: 'eu-west-1', named: Object.keys(texts), laptop: undefined },
  );
}
