import { openPublisher } from './compose';
import { amqpDeadLetters, type DeadLetters } from './dead-letters';

/** What the consumer loads with its first dead letter: the client of the broker is as large as all else that it has. */
export function openDeadLetters(wsQueue: string): DeadLetters {
  return amqpDeadLetters(openPublisher(), wsQueue);
}
