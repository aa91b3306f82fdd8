import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

/**
 * amqplib without what makes a start longer, and nobody needs. That is the methods of AMQP that no function says or hears: its
 * codec, which is generated, has a reader, a writer and a description for each of them, which is half of the codec, and a
 * third of what amqplib weighs and takes to load. Such a method from a broker is an error of the protocol then, as one that
 * does not exist. And it is `node:assert`, which takes milliseconds to load and compares more than the three conditions of
 * amqplib are.
 */

/** What a publisher and who declares queues never meet: the functions consume nothing, Lambda does. */
const unspoken =
  '(?:Access|Exchange|Tx|QueueBind|QueueUnbind|QueuePurge|' +
  'BasicQos|BasicConsume|BasicCancel|BasicDeliver|BasicGet|BasicReject|BasicRecover)\\w*';

const parts = [
  // function decodeTxSelect(buffer) { ... }
  `^function (?:de|en)code${unspoken}\\([\\s\\S]*?^}\\n`,
  // var methodInfoTxSelect = (module.exports.methodInfoTxSelect = { ... });
  `^var methodInfo${unspoken} = \\([\\s\\S]*?^}\\);\\n`,
  // case 5898250: return decodeTxSelect(buf);
  `^ +case \\d+:\\n +return (?:decode|encode|methodInfo)${unspoken}(?:\\(.*\\))?;\\n`,
].map((part) => new RegExp(part, 'gm'));

const requiredAssert = "const assert = require('node:assert');";
const ownAssert = `const assert = (holds, message) => { if (!holds) throw new Error(message ?? 'amqplib is in a wrong state.'); };
assert.equal = (one, other) => assert(one === other);`;

export const leanAmqplib: Plugin = {
  name: 'lean amqplib',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/]amqplib[\\/]lib[\\/]defs\.js$/ }, async ({ path }) => {
      let contents = await readFile(path, 'utf8');
      for (const part of parts) {
        const rest = contents.replace(part, '');
        if (rest === contents) throw new Error(`amqplib's codec is not written as it was: nothing in it is ${part}.`);
        contents = rest;
      }
      return { contents };
    });
    onLoad({ filter: /[\\/]amqplib[\\/]lib[\\/](?:channel|mux)\.js$/ }, async ({ path }) => {
      const contents = await readFile(path, 'utf8');
      const asserts = contents.match(/\bassert\b(?:\.\w+)?/g) ?? [];
      if (!contents.includes(requiredAssert) || asserts.some((each) => each !== 'assert' && each !== 'assert.equal')) {
        throw new Error(`amqplib does not use node:assert as it did: ${path}.`);
      }
      return { contents: contents.replace(requiredAssert, ownAssert) };
    });
  },
};
