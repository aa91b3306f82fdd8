/**
 * The frames in an event of Amazon MQ, as simply as can be: replies that NestJS services emit, and nothing that is not
 * so.
 */

export interface Frame {
  connectionId: string;
  text: string;
}

export interface Replies {
  rmqMessagesByQueue: Record<string, { data: string }[]>;
}

export function framesOf({ rmqMessagesByQueue }: Replies): Frame[] {
  const messages = Object.values(rmqMessagesByQueue).flat();
  return messages.map((message) => {
    const { pattern, data } = JSON.parse(Buffer.from(message.data, 'base64').toString());
    const { metadata, ...rest } = data;
    return { connectionId: metadata.socket_id, text: JSON.stringify({ event: pattern.cmd, data: rest }) };
  });
}
