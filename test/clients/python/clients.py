"""The official Python client against a running broker, with its default settings (plaintext).

Usage: clients.py ENDPOINT TOPIC COUNT, or clients.py kinds ENDPOINT PREFIX FEATURE...
Prints one JSON line and exits with 0 only when all came.
"""
import json
import sys
import threading
import time

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, Message,
                      MessageListener, Producer, PushConsumer, SimpleConsumer)

ROUND_SECONDS = 60


def send(config, topic, count):
    producer = Producer(config, (topic,))
    producer.startup()
    try:
        for i in range(count):
            message = Message()
            message.topic = topic
            message.body = f"python {i}".encode()
            message.tag = "python"
            message.keys = f"python-{i}"
            message.add_property("index", str(i))
            producer.send(message)
        return count
    finally:
        producer.shutdown()


def receive_simple(config, topic, count):
    seen = set()
    consumer = SimpleConsumer(config, f"{topic}-simple", {topic: FilterExpression()}, await_duration=5)
    consumer.startup()
    try:
        end = time.monotonic() + ROUND_SECONDS
        while len(seen) < count and time.monotonic() < end:
            for message in consumer.receive(32, 30) or []:
                consumer.ack(message)
                seen.add(message.message_id)
        return len(seen)
    finally:
        consumer.shutdown()


def receive_push(config, topic, count):
    seen = set()
    done = threading.Event()

    class Listener(MessageListener):
        def consume(self, message):
            seen.add(message.message_id)
            if len(seen) >= count:
                done.set()
            return ConsumeResult.SUCCESS

    consumer = PushConsumer(config, f"{topic}-push", Listener(), {topic: FilterExpression()})
    consumer.startup()
    try:
        done.wait(ROUND_SECONDS)
        return len(seen)
    finally:
        consumer.shutdown()


def main():
    endpoint, topic, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    config = ClientConfiguration(endpoint, Credentials())
    result = {
        "sent": send(config, topic, count),
        "simple": receive_simple(config, topic, count),
        "push": receive_push(config, topic, count),
    }
    print(json.dumps(result), flush=True)
    sys.exit(0 if set(result.values()) == {count} else 1)


if sys.argv[1] == "kinds":
    sys.dont_write_bytecode = True
    import kinds

    kinds.main(sys.argv[2], sys.argv[3], sys.argv[4:])
else:
    main()
