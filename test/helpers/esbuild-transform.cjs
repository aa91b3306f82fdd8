// Jest strips types with esbuild: the same compiler that builds the bundles.
const { transformSync } = require('esbuild');

module.exports = {
  process(source, sourcefile) {
    return transformSync(source, {
      sourcefile,
      loader: 'ts',
      format: 'cjs',
      target: 'node20',
      sourcemap: 'inline',
    });
  },
};
