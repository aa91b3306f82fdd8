import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What RabbitMQ said in each scenario, as text files that a reader may learn from, one for each area. */

/** Stands where a transcript is looked for and there is none. */
export const NOT_RECORDED =
  'Not recorded yet: UPDATE_TRANSCRIPTS=1 .ci/with-rabbitmq npx jest differential.rabbitmq -t <area>';

const HEADING = '\n## ';

export function recordedTranscripts(area: string): Map<string, string> {
  const file = fileOf(area);
  if (!existsSync(file)) return new Map();
  const [, ...sections] = readFileSync(file, 'utf8').split(HEADING);
  return new Map(
    sections.map((section) => {
      const end = section.indexOf('\n');
      return [section.slice(0, end), section.slice(end + 1).trim()];
    }),
  );
}

/** @param version of the RabbitMQ that said so */
export function writeTranscripts(area: string, version: string, transcripts: ReadonlyMap<string, string>): void {
  const sections = [...transcripts].map(([name, transcript]) => `${HEADING}${name}\n${transcript}\n`);
  writeFileSync(fileOf(area), `# ${area}, as RabbitMQ ${version} says it\n${sections.join('')}`);
}

function fileOf(area: string): string {
  return join(__dirname, 'recorded', `${area}.txt`);
}
