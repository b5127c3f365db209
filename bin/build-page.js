// What `npm start` does first: builds the page where it has to be. Plain JavaScript, so that an older Node can read it: there
// bin/chatterbox.js says what is wrong. Nothing here keeps the server from starting.
const [major, minor] = process.versions.node.split('.').map(Number);

if (major > 24 || (major === 24 && minor >= 15)) {
  import('../ops/build-web.ts').then(
    ({ buildBeforeStart }) => buildBeforeStart(),
    (error) => {
      // An install without its tools brings the page built, or none.
      if (error.code !== 'ERR_MODULE_NOT_FOUND')
        process.stderr.write(`the page could not be built: ${error.message}\n`);
    },
  );
}
