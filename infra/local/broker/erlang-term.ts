import { erlangBinary } from './errors';
import type { FieldValue } from './fields';

/** A field's value as RabbitMQ's texts show it: printed by Erlang, but a text as it is. */

export function erlangTerm(field: FieldValue): string {
  const term = (item: FieldValue) =>
    item.type === 'longstr' ? erlangBinary(Buffer.from(item.value)) : erlangTerm(item);
  switch (field.type) {
    case 'void':
      return 'undefined';
    case 'float':
    case 'double':
      return Number.isInteger(field.value) ? `${field.value}.0` : `${field.value}`;
    case 'decimal':
      return `{${field.value.places},${field.value.digits}}`;
    case 'array':
      return `[${field.value.map((item) => `{${item.type},${term(item)}}`).join(',')}]`;
    case 'table':
      return `[${[...field.value].map(([name, item]) => `{<<"${name}">>,${item.type},${term(item)}}`).join(',')}]`;
    default:
      return String(field.value);
  }
}
