import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** What RabbitMQ said in each scenario, as text files that a reader may learn from, one for each file of scenarios. */

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

export function writeTranscripts(area: string, transcripts: ReadonlyMap<string, string>): void {
  const sections = [...transcripts].map(([name, transcript]) => `${HEADING}${name}\n${transcript}\n`);
  writeFileSync(fileOf(area), `# ${area}, as RabbitMQ 3.10.8 says it\n${sections.join('')}`);
}

function fileOf(area: string): string {
  return join(__dirname, 'recorded', `${area}.txt`);
}
