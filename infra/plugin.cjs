// The framework loads plugins as JavaScript; this one is TypeScript, so it is bundled on the way in.
const { join } = require('node:path');
const { Module } = require('node:module');
const { buildSync } = require('esbuild');

const entry = join(__dirname, 'plugin.ts');
const options = {
  bundle: true,
  write: false,
  platform: 'node',
  format: 'cjs',
  packages: 'external',
  sourcemap: 'inline',
};
const [{ text }] = buildSync({ entryPoints: [entry], ...options }).outputFiles;

const plugin = new Module(entry, module);
plugin.filename = entry;
plugin.paths = module.paths;
plugin._compile(text, entry);
module.exports = plugin.exports.default;
