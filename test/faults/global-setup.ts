import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFunctions } from '../../infra/build';

/** Once for all suites of faults: the functions as they are deployed, and a file for the lines of the table. */
export default async function globalSetup(): Promise<void> {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = 'true';
  await buildFunctions(join(__dirname, '..', '..'));
  process.env.FAULT_TABLE = join(mkdtempSync(join(tmpdir(), 'faults-')), 'rows');
}
