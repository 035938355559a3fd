"""Every kind of message and way to consume, as far as the official Python client has it.

Each feature uses the topic and the consumer group PREFIX-FEATURE, which have to be there, with the type that it needs.
"""
import json
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from rocketmq import (ClientConfiguration, ConsumeResult, Credentials, FilterExpression, LitePushConsumer,
                      LiteSimpleConsumer, Message, MessageListener, Producer, PushConsumer, SimpleConsumer,
                      TransactionChecker, TransactionResolution)
from rocketmq.grpc_protocol import FilterType

FEATURE_SECONDS = 30
AWAIT_SECONDS = 5
INVISIBLE_SECONDS = 30
ALL = FilterExpression()


class Failure(Exception):
    """What was not as it has to be."""


def main(endpoint, prefix, wanted):
    """Tries the features side by side and prints what came of each."""
    trial = Trial(ClientConfiguration(endpoint, Credentials()))
    topics = [f"{prefix}-{feature}" for feature in wanted if feature != "transaction"]
    trial.producer = Producer(trial.config, topics)
    trial.producer.startup()
    with ThreadPoolExecutor(max_workers=len(wanted)) as pool:
        outcomes = pool.map(lambda feature: trial.run(feature, f"{prefix}-{feature}"), wanted)
        print(json.dumps(dict(zip(wanted, outcomes))), flush=True)
    # Threads of the client that are still polling would keep the process.
    os._exit(0)


class Trial:
    """What all features share."""

    def __init__(self, config):
        self.config = config
        self.producer = None

    def run(self, feature, topic):
        features = {
            "fifo": lambda: self.ordered(topic, None),
            "fifoPastFailure": lambda: self.ordered(topic, 3),
            "retry": lambda: self.retry(topic),
            "nack": lambda: self.nack(topic),
            "tags": lambda: self.filtered(topic, FilterExpression("red || blue"), 0),
            "sql": lambda: self.filtered(topic, FilterExpression("color <> 'green' AND number > 0", FilterType.SQL), 1),
            "delay": lambda: self.delay(topic),
            "recall": lambda: self.recall(topic),
            "priority": lambda: self.priority(topic),
            "lite": lambda: self.lite(topic),
            "liteSimple": lambda: self.lite_simple(topic),
            "transaction": lambda: self.transaction(topic),
            "dlq": lambda: self.dlq(topic),
        }
        if feature not in features:
            return "the client lacks it"
        try:
            features[feature]()
            return "ok"
        except Exception as error:
            return f"{error}"

    def ordered(self, topic, failing):
        """30 messages in three message groups; the one numbered `failing` of one message group fails once."""
        for sequence in range(10):
            for group in range(3):
                message = new_message(topic, str(sequence))
                message.message_group = str(group)
                self.producer.send(message)
        got = {0: [], 1: [], 2: []}
        expected = {group: list(range(10)) for group in got}
        if failing is not None:
            expected[1].insert(failing, failing)
        lock = threading.Lock()

        def consume(message):
            group, sequence = int(message.message_group), int(message.body)
            time.sleep((9 - sequence) / 100)  # whatever runs beside an earlier one overtakes it
            with lock:
                is_first = sequence not in got[group]
                got[group].append(sequence)
                if (group, sequence) == (1, failing) and is_first:
                    return ConsumeResult.FAILURE, False
                return ConsumeResult.SUCCESS, sum(map(len, got.values())) == sum(map(len, expected.values()))

        self.push(topic, consume)
        expect(got == expected, f"out of order: {got}")

    def retry(self, topic):
        self.producer.send(new_message(topic, "again"))
        attempts = []

        def consume(message):
            attempts.append(message.delivery_attempt)
            is_last = len(attempts) == 2
            return ConsumeResult.SUCCESS if is_last else ConsumeResult.FAILURE, is_last

        self.push(topic, consume)
        expect(attempts == [1, 2], f"attempts {attempts}")

    def nack(self, topic):
        self.producer.send(new_message(topic, "again"))
        consumer = self.simple(topic, topic)
        first = one(consumer)
        consumer.change_invisible_duration(first, 1)
        began = time.monotonic()
        second = one(consumer)
        took = time.monotonic() - began
        is_same = second.message_id == first.message_id
        expect(is_same and second.delivery_attempt == 2 and took < 3,
               f"same {is_same}, attempt {second.delivery_attempt} after {took} s")
        consumer.ack(second)

    def filtered(self, topic, expression, lowest):
        for color in ("red", "green", "blue"):
            for number in range(3):
                message = new_message(topic, f"{color} {number}")
                message.tag = color
                message.add_property("color", color)
                message.add_property("number", str(number))
                self.producer.send(message)
        expected = [f"{color} {number}" for color in ("blue", "red") for number in range(lowest, 3)]
        self.expect_bodies(topic, expression, expected)

    def delay(self, topic):
        consumer = self.simple(topic, topic)
        message = new_message(topic, "later")
        due = math.ceil(time.time()) + 2  # to this client it is in seconds
        message.delivery_timestamp = due
        self.producer.send(message)
        consumer.ack(one(consumer))
        late = time.time() - due
        expect(0 <= late < 1, f"late by {late} s")

    def recall(self, topic):
        """Of two delayed messages one is recalled: the other one comes alone."""
        due = math.ceil(time.time()) + 2
        handles = []
        for body in ("recalled", "kept"):
            message = new_message(topic, body)
            message.delivery_timestamp = due
            handles.append(self.producer.send(message).recall_handle)
        self.producer.recall_message(topic, handles[0])
        self.expect_bodies(topic, ALL, ["kept"])

    def priority(self, topic):
        """Of three that wait the one of the highest priority comes first."""
        for priority in (1, 10, 5):
            message = new_message(topic, str(priority))
            message.priority = priority
            self.producer.send(message)
        consumer = self.simple(topic, topic)
        got = []
        for _ in range(3):
            message = one(consumer)
            got.append((message.priority, message.body.decode()))
            consumer.ack(message)
        expect(got == [(10, "10"), (5, "5"), (1, "1")], f"got {got}")

    def send_lite(self, topic):
        for text in ("a 0", "a 1", "a 2", "b 0", "c 0"):
            message = new_message(topic, text)
            message.lite_topic = text[0]
            self.producer.send(message)

    def lite(self, topic):
        """Two of three lite topics are consumed, each in order, although the second message of one fails once."""
        self.send_lite(topic)
        got = []
        lock = threading.Lock()
        done = threading.Event()

        class Listener(MessageListener):
            def consume(self, message):
                text = message.body.decode()
                with lock:
                    is_first = text not in got
                    got.append(text)
                    if len(got) == 5:
                        done.set()
                return ConsumeResult.FAILURE if text == "a 1" and is_first else ConsumeResult.SUCCESS

        consumer = LitePushConsumer(self.config, topic, topic, Listener())
        consumer.startup()
        consumer.subscribe_lite("a")
        consumer.subscribe_lite("b")
        done.wait(FEATURE_SECONDS)
        of_a = [text for text in got if text[0] == "a"]
        expect(len(got) == 5 and "b 0" in got and of_a == ["a 0", "a 1", "a 1", "a 2"], f"got {got}")

    def lite_simple(self, topic):
        """Two of three lite topics are received."""
        self.send_lite(topic)
        consumer = LiteSimpleConsumer(topic, self.config, topic, await_duration=AWAIT_SECONDS)
        consumer.startup()
        soon(lambda: consumer.subscribe_lite("a"))  # this client allows none before its settings have come
        consumer.subscribe_lite("b")
        self.expect_received(consumer, ["a 0", "a 1", "a 2", "b 0"])

    def transaction(self, topic):
        class Checker(TransactionChecker):
            def check(self, message):
                is_open = message.body == b"left open"
                return TransactionResolution.COMMIT if is_open else TransactionResolution.ROLLBACK

        producer = Producer(self.config, (topic,), checker=Checker())
        producer.startup()
        for body in ("committed", "rolled back", "left open"):
            transaction = producer.begin_transaction()
            producer.send(new_message(topic, body), transaction)
            if body == "committed":
                transaction.commit()
            elif body == "rolled back":
                transaction.rollback()
        self.expect_bodies(topic, ALL, ["committed", "left open"])

    def dlq(self, topic):
        self.producer.send(new_message(topic, "dead"))
        attempts = []

        def consume(message):
            attempts.append(message.message_id)
            return ConsumeResult.FAILURE, len(attempts) == 2

        self.push(topic, consume)
        consumer = self.simple(f"%DLQ%{topic}", f"{topic}-dead")
        body = one(consumer).body
        expect(body == b"dead", f"got {body}")

    def simple(self, topic, group, expression=ALL):
        consumer = SimpleConsumer(self.config, group, {topic: expression}, await_duration=AWAIT_SECONDS)
        consumer.startup()
        return consumer

    def push(self, topic, consume):
        """Consumes until the listener says that it was the last one. The end of the program stops the consumer."""
        done = threading.Event()

        class Listener(MessageListener):
            def consume(self, message):
                result, is_last = consume(message)
                if is_last:
                    done.set()
                return result

        PushConsumer(self.config, topic, Listener(), {topic: ALL}).startup()
        expect(done.wait(FEATURE_SECONDS), "not all came in time")

    def expect_bodies(self, topic, expression, expected):
        """These messages come, and no others within a further poll."""
        self.expect_received(self.simple(topic, topic, expression), expected)

    def expect_received(self, consumer, expected):
        """As above, by a consumer that is there."""
        bodies = []
        end = time.monotonic() + FEATURE_SECONDS
        is_last = False
        while not is_last and time.monotonic() < end:
            is_last = len(bodies) >= len(expected)
            for message in consumer.receive(32, INVISIBLE_SECONDS) or []:
                consumer.ack(message)
                bodies.append(message.body.decode())
        expect(sorted(bodies) == expected, f"got {', '.join(sorted(bodies))}")


def new_message(topic, body):
    message = Message()
    message.topic = topic
    message.body = body.encode()
    return message


def one(consumer):
    """The next message. What a client tells of a topic that is only just being made is not the end."""
    def receive():
        for message in consumer.receive(1, INVISIBLE_SECONDS) or []:
            return message
        raise Failure("nothing came")
    return soon(receive)


def soon(work):
    """What `work` gives when it raises nothing any more."""
    end = time.monotonic() + FEATURE_SECONDS
    while True:
        try:
            return work()
        except Exception:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def expect(is_so, otherwise):
    if not is_so:
        raise Failure(otherwise)
