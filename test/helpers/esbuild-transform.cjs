// Jest strips types with esbuild: the same compiler that builds the bundles.
const { transformSync } = require('esbuild');

module.exports = {
  process(source, sourcefile) {
    return transformSync(source, {
      sourcefile,
      loader: 'ts',
      format: 'cjs',
      target: 'node20',
      // Jest has none without a flag of Node's; it becomes a require.
      supported: { 'dynamic-import': false },
      sourcemap: 'inline',
    });
  },
};
