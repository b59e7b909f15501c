// Starts a server, tells its own parent where it is, and waits to be killed.
import { checkpoint, startServerProcess } from './server-process.ts';

const { child, url } = await startServerProcess([checkpoint('rl/llama', 'test/golden/llama')]);
process.send?.({ pid: child.pid, url });
