// Logging: a constant message and fields, passed in, never global. Prompts, tokens and headers are not logged.
import { type Logger, pino } from 'pino';

export type { Logger };

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

export function createLogger(name: string, level: LogLevel, destination: 1 | 2 = 1): Logger {
  return pino(
    { name, level, base: { name }, timestamp: pino.stdTimeFunctions.isoTime },
    pino.destination({ fd: destination, sync: true }),
  );
}

export const silentLogger: Logger = pino({ level: 'silent' });
