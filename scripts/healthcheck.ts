/** Exits with 0 while the server on this machine is ready: the image's health check. */
const host = process.env['HOST'] === '0.0.0.0' ? '127.0.0.1' : (process.env['HOST'] ?? '127.0.0.1');
const port = process.env['PORT'] ?? '3000';
try {
  const answer = await fetch(`http://${host}:${port}/health/ready`, {
    signal: AbortSignal.timeout(4_000),
  });
  process.exitCode = answer.ok ? 0 : 1;
} catch {
  process.exitCode = 1;
}
