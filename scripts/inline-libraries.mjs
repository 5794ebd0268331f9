// Before packing: compiles the JavaScript libraries that speaking uses into dist/libraries and lets dist import them there.
// Only what is used is shipped (a tenth of the packages), large tables are compressed, and what the package needs from the
// registry is its native parts alone. dist works before and after; `tsc -b` followed by this script brings it here again.
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { brotliCompressSync } from 'node:zlib';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('..', import.meta.url));
const dist = join(root, 'dist');
const folder = join(dist, 'libraries');

/** Specifier -> file name; `.cjs` is for what `require` loads. */
const LIBRARIES = {
  '@audio/stretch-wsola': 'stretch.js',
  '@evan/opus/wasm/index.js': 'opus-encoder.cjs',
  '@huggingface/tokenizers': 'tokenizers.js',
  '@wasm-audio-decoders/flac': 'flac.js',
  '@wasm-audio-decoders/ogg-vorbis': 'ogg-vorbis.js',
  'cli-progress': 'cli-progress.js',
  'cmu-pronouncing-dictionary': 'cmu-pronouncing-dictionary.js',
  'codec-parser': 'codec-parser.js',
  commander: 'commander.js',
  'fft.js': 'fft.js',
  'libflacjs/dist/libflac.min.js': 'flac-encoder.cjs',
  'mpg123-decoder': 'mpg123-decoder.js',
  'n2words/en-US': 'n2words.js',
  'opus-decoder': 'opus-decoder.js',
  'phonemize/en-g2p': 'phonemize.cjs',
  'wasm-media-encoders': 'media-encoders.js',
};

/** Of these, what is used; Vorbis's encoder alone would be 600 KB. */
const USED = { 'wasm-media-encoders': ['createMp3Encoder'] };

/** What two of them read from beside themselves; Opus's second build is for processors of before 2008. */
const BINARIES = ['@evan/opus/wasm/simd.wasm', 'libflacjs/dist/libflac.min.js.mem'];

/** Tables from this size on are stored compressed: a quarter of the bytes, and faster to load than source code. */
const LARGE_TABLE_BYTES = 200_000;

/** Modules that hold nothing but data become compressed JSON beside the code. */
const compressTables = (format) => ({
  name: 'compress-tables',
  async load(id) {
    if (id.includes('cmu-pronouncing-dictionary')) {
      const { dictionary } = await import(pathToFileURL(id).href);
      return tableModule('const dictionary =', 'cmu-pronouncing-dictionary', dictionary, format);
    }
    if (!id.endsWith('.json')) return null;
    const json = readFileSync(id, 'utf8');
    return json.length < LARGE_TABLE_BYTES ? null : tableModule('default', basename(id), JSON.parse(json), format);
  },
});

function tableModule(declaration, name, table, format) {
  const file = `${name}.br`;
  writeFileSync(join(folder, file), brotliCompressSync(JSON.stringify(table)));
  const place = format === 'esm' ? `new URL('./${file}', import.meta.url)` : `__dirname + '/${file}'`;
  const code = `import { readFileSync } from 'node:fs';
import { brotliDecompressSync } from 'node:zlib';
export ${declaration} JSON.parse(brotliDecompressSync(readFileSync(${place})).toString());`;
  return { code, moduleType: 'js' };
}

/** Entries of which only a part is used: a module that exports that part, so that the rest is dropped. */
const keepUsed = {
  name: 'keep-used',
  resolveId: (id, importer) => (USED[id] && importer === undefined ? `used:${id}` : null),
  load(id) {
    const specifier = id.startsWith('used:') ? id.slice('used:'.length) : undefined;
    return specifier ? `export { ${USED[specifier].join(', ')} } from '${specifier}';` : null;
  },
};

async function bundle(format, extension) {
  const entries = Object.entries(LIBRARIES).filter(([, file]) => file.endsWith(extension));
  const input = Object.fromEntries(entries.map(([specifier, file]) => [file.slice(0, -extension.length), specifier]));
  const build = await rolldown({ input, platform: 'node', cwd: root, plugins: [keepUsed, compressTables(format)] });
  const { output } = await build.write({
    dir: folder,
    format,
    exports: 'named',
    entryFileNames: `[name]${extension}`,
    chunkFileNames: `[name]-[hash]${extension}`,
    minify: true,
  });
  return output.flatMap((chunk) => chunk.moduleIds ?? []);
}

/** The licences of everything that was compiled in, in one file. */
function writeLicences(modules) {
  const packages = new Set(modules.filter((id) => id.includes('node_modules')).map(packageFolder));
  const texts = [...packages].sort().map((path) => {
    const { name, version, license } = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
    const file = readdirSync(path).find((one) => /^licen[cs]e/i.test(one));
    return `${name} ${version} (${license})\n\n${file ? readFileSync(join(path, file), 'utf8').trim() : ''}\n`;
  });
  writeFileSync(join(folder, 'LICENSES.txt'), texts.join(`\n${'-'.repeat(80)}\n\n`));
}

function packageFolder(id) {
  let path = dirname(id);
  while (!existsSync(join(path, 'package.json')) || !JSON.parse(readFileSync(join(path, 'package.json'))).version)
    path = dirname(path);
  return path;
}

/** Lets compiled files import the library files. */
function rewriteImports() {
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.js') || entry.parentPath === folder) continue;
    const path = join(entry.parentPath, entry.name);
    const source = readFileSync(path, 'utf8');
    const prefix = relative(entry.parentPath, folder).replaceAll('\\', '/');
    const changed = source.replaceAll(/(from |import\(|\)\()'([^'.][^']*)'/g, (whole, before, specifier) =>
      LIBRARIES[specifier]
        ? `${before}'${prefix.startsWith('.') ? prefix : `./${prefix}`}/${LIBRARIES[specifier]}'`
        : whole,
    );
    if (changed !== source) writeFileSync(path, changed);
  }
}

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const modules = [...(await bundle('esm', '.js')), ...(await bundle('cjs', '.cjs'))];
for (const path of BINARIES) copyFileSync(join(root, 'node_modules', path), join(folder, basename(path)));
writeLicences(modules);
rewriteImports();
