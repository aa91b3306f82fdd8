import { readFile } from 'node:fs/promises';
import type { Plugin } from 'esbuild';

/**
 * amqplib without the methods of AMQP that no function says or hears. Its codec, which is generated, has a reader, a writer and
 * a description for each of them: half of the codec, and a third of what amqplib weighs and takes to load. Such a method from
 * a broker is an error of the protocol then, as one that does not exist.
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

export const withoutUnspokenMethods: Plugin = {
  name: 'amqplib without unspoken methods',
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
  },
};
