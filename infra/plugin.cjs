// The framework loads plugins as JavaScript; this one is TypeScript, so it is bundled on the way in.
const { join } = require('node:path');
const { Module } = require('node:module');
const { buildSync } = require('esbuild');

const options = {
  bundle: true,
  write: false,
  platform: 'node',
  format: 'cjs',
  packages: 'external',
  // What lib/ takes from the inside of a package must be what the package itself takes.
  external: ['../node_modules/*'],
};
const [{ text }] = buildSync({ entryPoints: [join(__dirname, 'plugin.ts')], ...options }).outputFiles;

const file = join(__dirname, 'plugin.bundle.js');
const plugin = new Module(file, module);
plugin.filename = file;
plugin.paths = module.paths;
plugin._compile(text, file);
module.exports = plugin.exports.default;
