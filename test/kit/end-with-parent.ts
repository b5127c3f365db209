// Loaded before every server a test starts: ends it when the test's process is gone, however that ended (tap ends a file
// that takes too long by a signal, and no teardown runs then).
process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.channel?.unref();
