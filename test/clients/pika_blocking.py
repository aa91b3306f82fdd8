"""The conversation of conversation.ts by pika's BlockingConnection: the setting is the first argument, the transcript
goes to stdout, both as JSON."""

import json
import sys

import pika
from pika.exceptions import ChannelClosedByBroker, ProbableAuthenticationError, UnroutableError

from pika_terms import counts, delivered, parameters, properties

setting = json.loads(sys.argv[1])
exchange, queue, routing_key = setting["exchange"], setting["queue"], setting["routingKey"]
transcript = {}

try:
    pika.BlockingConnection(parameters(setting, setting["wrongPasswordUrl"]))
except ProbableAuthenticationError as error:
    transcript["wrongPassword"] = str(error)

connection = pika.BlockingConnection(parameters(setting, setting["url"]))
channel = connection.channel()
channel.confirm_delivery()
channel.exchange_declare(exchange, "direct", durable=False)
transcript["declared"] = counts(channel.queue_declare(queue, durable=True))
channel.queue_bind(queue, exchange, routing_key)

body = setting["message"]["body"].encode()
channel.basic_publish(exchange, routing_key, body, properties(setting["message"]), mandatory=True)
try:
    channel.basic_publish(exchange, "nowhere", b"lost", mandatory=True)
except UnroutableError as error:
    returned = error.messages[0]
    transcript["returned"] = {
        "replyCode": returned.method.reply_code,
        "replyText": returned.method.reply_text,
        "exchange": returned.method.exchange,
        "routingKey": returned.method.routing_key,
        "body": returned.body.decode(),
    }

deliveries = channel.consume(queue)
first = next(deliveries)
channel.basic_reject(first[0].delivery_tag, requeue=True)
second = next(deliveries)
channel.basic_ack(second[0].delivery_tag)
transcript["deliveries"] = [delivered(*first), delivered(*second)]

try:
    connection.channel().queue_declare(setting["missingQueue"], passive=True)
except ChannelClosedByBroker as error:
    transcript["missingQueue"] = error.reply_text
try:
    connection.channel().queue_declare(queue, durable=False)
except ChannelClosedByBroker as error:
    transcript["otherArguments"] = error.reply_text
transcript["stillThere"] = counts(connection.channel().queue_declare(queue, passive=True))

last = next(deliveries)
channel.basic_ack(last[0].delivery_tag)
transcript["last"] = last[2].decode()
transcript["deleted"] = channel.queue_delete(queue).method.message_count
channel.exchange_delete(exchange)
connection.close()
print(json.dumps(transcript))
