"""pika's terms and the conversation's."""

import pika


def parameters(setting, url):
    given = pika.URLParameters(url)
    given.heartbeat = setting["heartbeatSeconds"]
    return given


def properties(message):
    return pika.BasicProperties(
        content_type=message["contentType"], message_id=message["messageId"], headers=message["headers"]
    )


def counts(declare_ok):
    return {
        "messageCount": declare_ok.method.message_count,
        "consumerCount": declare_ok.method.consumer_count,
    }


def delivered(deliver, properties, body):
    return {
        "body": body.decode(),
        "contentType": properties.content_type,
        "messageId": properties.message_id,
        "headers": properties.headers,
        "exchange": deliver.exchange,
        "routingKey": deliver.routing_key,
        "redelivered": deliver.redelivered,
    }
