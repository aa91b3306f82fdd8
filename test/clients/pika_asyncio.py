"""The conversation of conversation.ts by pika on an IO loop, asyncio's: the setting is the first argument, the
transcript goes to stdout, both as JSON."""

import asyncio
import json
import sys

from pika.adapters.asyncio_connection import AsyncioConnection
from pika.exceptions import ProbableAuthenticationError

from pika_terms import counts, delivered, parameters, properties


async def connect(given):
    opened = asyncio.get_running_loop().create_future()
    closed = asyncio.get_running_loop().create_future()
    connection = AsyncioConnection(
        given,
        on_open_callback=opened.set_result,
        on_open_error_callback=lambda _, error: opened.set_exception(error),
        on_close_callback=lambda _, reason: closed.set_result(reason),
    )
    await opened
    return connection, closed


async def answer(method, *args, **kwargs):
    """Of a method whose answer comes by a callback."""
    answered = asyncio.get_running_loop().create_future()
    method(*args, **kwargs, callback=answered.set_result)
    return await answered


async def open_channel(connection):
    opened = asyncio.get_running_loop().create_future()
    connection.channel(on_open_callback=opened.set_result)
    return await opened


async def refusal(channel, method, *args, **kwargs):
    closed = asyncio.get_running_loop().create_future()
    channel.add_on_close_callback(lambda _, reason: closed.set_result(reason.reply_text))
    method(*args, **kwargs, callback=lambda _: None)
    return await closed


async def converse(setting):
    exchange, queue, routing_key = setting["exchange"], setting["queue"], setting["routingKey"]
    transcript = {}
    try:
        await connect(parameters(setting, setting["wrongPasswordUrl"]))
    except ProbableAuthenticationError as error:
        transcript["wrongPassword"] = str(error)

    connection, closed = await connect(parameters(setting, setting["url"]))
    channel = await open_channel(connection)
    confirms, returns, deliveries = asyncio.Queue(), asyncio.Queue(), asyncio.Queue()
    await answer(channel.confirm_delivery, confirms.put_nowait)
    channel.add_on_return_callback(lambda _, method, __, body: returns.put_nowait((method, body)))
    await answer(channel.exchange_declare, exchange, "direct", durable=False)
    transcript["declared"] = counts(await answer(channel.queue_declare, queue, durable=True))
    await answer(channel.queue_bind, queue, exchange, routing_key)

    message = setting["message"]
    channel.basic_publish(exchange, routing_key, message["body"].encode(), properties(message), mandatory=True)
    await confirms.get()
    channel.basic_publish(exchange, "nowhere", b"lost", mandatory=True)
    await confirms.get()
    method, body = await returns.get()
    transcript["returned"] = {
        "replyCode": method.reply_code,
        "replyText": method.reply_text,
        "exchange": method.exchange,
        "routingKey": method.routing_key,
        "body": body.decode(),
    }

    await answer(channel.basic_consume, queue, lambda _, *delivery: deliveries.put_nowait(delivery))
    first = await deliveries.get()
    channel.basic_nack(first[0].delivery_tag, requeue=True)
    second = await deliveries.get()
    channel.basic_ack(second[0].delivery_tag)
    transcript["deliveries"] = [delivered(*first), delivered(*second)]

    other = await open_channel(connection)
    transcript["missingQueue"] = await refusal(other, other.queue_declare, setting["missingQueue"], passive=True)
    other = await open_channel(connection)
    transcript["otherArguments"] = await refusal(other, other.queue_declare, queue, durable=False)
    other = await open_channel(connection)
    transcript["stillThere"] = counts(await answer(other.queue_declare, queue, passive=True))

    last = await deliveries.get()
    channel.basic_ack(last[0].delivery_tag)
    transcript["last"] = last[2].decode()
    transcript["deleted"] = (await answer(channel.queue_delete, queue)).method.message_count
    await answer(channel.exchange_delete, exchange)
    connection.close()
    await closed
    return transcript


print(json.dumps(asyncio.run(converse(json.loads(sys.argv[1])))))
