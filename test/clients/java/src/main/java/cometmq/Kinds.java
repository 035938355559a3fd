package cometmq;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientException;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.LitePushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageBuilder;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;
import org.apache.rocketmq.client.apis.producer.Transaction;
import org.apache.rocketmq.client.apis.producer.TransactionResolution;

/**
 * Every kind of message and way to consume, as far as the official Java client has it.
 * Each feature uses the topic and the consumer group PREFIX-FEATURE, which have to be there, with the type that it needs.
 */
final class Kinds {
    private static final Duration FEATURE = Duration.ofSeconds(30);
    private static final Duration AWAIT = Duration.ofSeconds(5);
    private static final Duration INVISIBLE = Duration.ofSeconds(30);
    private static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();
    private static final FilterExpression ALL = new FilterExpression("*", FilterExpressionType.TAG);
    private static final FilterExpression SQL =
            new FilterExpression("color <> 'green' AND number > 0", FilterExpressionType.SQL92);

    private final ClientConfiguration configuration;
    private final Map<String, Work> features = new LinkedHashMap<>();
    private Producer producer;

    /** Tries one feature with its topic. */
    private interface Work {
        void on(String topic) throws Exception;
    }

    private Kinds(String endpoint) {
        configuration = ClientConfiguration.newBuilder().setEndpoints(endpoint).build();
        features.put("fifo", topic -> ordered(topic, -1));
        features.put("fifoPastFailure", topic -> ordered(topic, 3));
        features.put("retry", this::retry);
        features.put("nack", this::nack);
        features.put("tags", topic -> filtered(topic, new FilterExpression("red || blue", FilterExpressionType.TAG), 0));
        features.put("sql", topic -> filtered(topic, SQL, 1));
        features.put("delay", this::delay);
        features.put("recall", this::recall);
        features.put("priority", this::priority);
        features.put("lite", this::lite);
        features.put("transaction", this::transaction);
        features.put("dlq", this::dlq);
    }

    /** Tries the features side by side and prints what came of each. */
    static void run(String endpoint, String prefix, List<String> wanted) throws Exception {
        Kinds kinds = new Kinds(endpoint);
        String[] topics = wanted.stream().filter(feature -> !feature.equals("transaction"))
                .map(feature -> prefix + "-" + feature).toArray(String[]::new);
        kinds.producer = PROVIDER.newProducerBuilder().setClientConfiguration(kinds.configuration).setTopics(topics).build();
        ExecutorService threads = Executors.newCachedThreadPool();
        Map<String, CompletableFuture<String>> outcomes = new LinkedHashMap<>();
        for (String feature : wanted) {
            outcomes.put(feature,
                    CompletableFuture.supplyAsync(() -> kinds.outcome(feature, prefix + "-" + feature), threads));
        }
        System.out.println(outcomes.entrySet().stream()
                .map(entry -> quoted(entry.getKey()) + ":" + quoted(entry.getValue().join()))
                .collect(Collectors.joining(",", "{", "}")));
    }

    private String outcome(String feature, String topic) {
        Work work = features.get(feature);
        if (work == null) {
            return "the client lacks it";
        }
        try {
            work.on(topic);
            return "ok";
        } catch (Exception e) {
            return String.valueOf(e.getMessage());
        }
    }

    /** 30 messages in three message groups; the one numbered `failing` of one message group fails once. */
    private void ordered(String topic, int failing) throws Exception {
        Map<String, List<Integer>> expected = new LinkedHashMap<>();
        Map<String, List<Integer>> got = new LinkedHashMap<>();
        for (String group : List.of("0", "1", "2")) {
            expected.put(group, new ArrayList<>());
            got.put(group, new ArrayList<>());
        }
        for (int sequence = 0; sequence < 10; sequence++) {
            for (String group : expected.keySet()) {
                producer.send(message(topic, Integer.toString(sequence)).setMessageGroup(group).build());
                expected.get(group).add(sequence);
                if (group.equals("1") && sequence == failing) {
                    expected.get(group).add(sequence);
                }
            }
        }
        CountDownLatch left = new CountDownLatch(30);
        push(topic, left, view -> {
            String group = view.getMessageGroup().orElse("");
            int sequence = Integer.parseInt(body(view));
            pause((9 - sequence) * 10); // whatever runs beside an earlier one overtakes it
            synchronized (got) {
                boolean isFirst = !got.get(group).contains(sequence);
                got.get(group).add(sequence);
                if (group.equals("1") && sequence == failing && isFirst) {
                    return ConsumeResult.FAILURE;
                }
            }
            left.countDown();
            return ConsumeResult.SUCCESS;
        });
        synchronized (got) {
            expect(got.equals(expected), "out of order: " + got);
        }
    }

    private void retry(String topic) throws Exception {
        producer.send(message(topic, "again").build());
        List<Integer> attempts = Collections.synchronizedList(new ArrayList<>());
        CountDownLatch left = new CountDownLatch(2);
        push(topic, left, view -> {
            attempts.add(attempt(view));
            left.countDown();
            return attempts.size() == 1 ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
        });
        expect(attempts.equals(List.of(1, 2)), "attempts " + attempts);
    }

    private void nack(String topic) throws Exception {
        producer.send(message(topic, "again").build());
        try (SimpleConsumer consumer = simple(topic, topic, ALL)) {
            MessageView first = one(consumer);
            consumer.changeInvisibleDuration(first, Duration.ofSeconds(1));
            long began = System.nanoTime();
            MessageView second = one(consumer);
            long took = TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - began);
            boolean isSame = second.getMessageId().equals(first.getMessageId());
            expect(isSame && attempt(second) == 2 && took < 3_000,
                    "same " + isSame + ", attempt " + attempt(second) + " after " + took + " ms");
            consumer.ack(second);
        }
    }

    private void filtered(String topic, FilterExpression filter, int lowest) throws Exception {
        List<String> expected = new ArrayList<>();
        for (String color : List.of("blue", "green", "red")) {
            for (int number = 0; number < 3; number++) {
                producer.send(message(topic, color + " " + number).setTag(color).addProperty("color", color)
                        .addProperty("number", Integer.toString(number)).build());
                if (!color.equals("green") && number >= lowest) {
                    expected.add(color + " " + number);
                }
            }
        }
        expectBodies(topic, filter, expected);
    }

    private void delay(String topic) throws Exception {
        try (SimpleConsumer consumer = simple(topic, topic, ALL)) {
            long due = System.currentTimeMillis() + 2_000;
            producer.send(message(topic, "later").setDeliveryTimestamp(due).build());
            MessageView view = one(consumer);
            long late = System.currentTimeMillis() - due;
            expect(late >= 0 && late < 1_000, "late by " + late + " ms");
            consumer.ack(view);
        }
    }

    /** Of two delayed messages one is recalled: the other one comes alone. */
    private void recall(String topic) throws Exception {
        long due = System.currentTimeMillis() + 2_000;
        String handle = producer.send(message(topic, "recalled").setDeliveryTimestamp(due).build()).getRecallHandle();
        producer.send(message(topic, "kept").setDeliveryTimestamp(due).build());
        producer.recallMessage(topic, handle);
        expectBodies(topic, ALL, List.of("kept"));
    }

    /** Of three that wait the one of the highest priority comes first. */
    private void priority(String topic) throws Exception {
        for (int priority : new int[] {1, 10, 5}) {
            producer.send(message(topic, Integer.toString(priority)).setPriority(priority).build());
        }
        List<Integer> got = new ArrayList<>();
        try (SimpleConsumer consumer = simple(topic, topic, ALL)) {
            for (int count = 0; count < 3; count++) {
                MessageView view = one(consumer);
                got.add(view.getPriority().orElse(-1));
                consumer.ack(view);
            }
        }
        expect(got.equals(List.of(10, 5, 1)), "got " + got);
    }

    /** Two of three lite topics are consumed, each in order, although the second message of one fails once. */
    private void lite(String topic) throws Exception {
        for (String text : List.of("a 0", "a 1", "a 2", "b 0", "c 0")) {
            producer.send(message(topic, text).setLiteTopic(text.substring(0, 1)).build());
        }
        List<String> got = new ArrayList<>();
        CountDownLatch left = new CountDownLatch(5);
        LitePushConsumer consumer = PROVIDER.newLitePushConsumerBuilder().setClientConfiguration(configuration)
                .setConsumerGroup(topic).bindTopic(topic).setMessageListener(view -> {
                    boolean isFirst;
                    synchronized (got) {
                        isFirst = !got.contains(body(view));
                        got.add(body(view));
                    }
                    left.countDown();
                    return body(view).equals("a 1") && isFirst ? ConsumeResult.FAILURE : ConsumeResult.SUCCESS;
                }).build();
        consumer.subscribeLite("a");
        consumer.subscribeLite("b");
        boolean isDone = left.await(FEATURE.toSeconds(), TimeUnit.SECONDS);
        synchronized (got) {
            List<String> ofA = got.stream().filter(text -> text.startsWith("a")).collect(Collectors.toList());
            expect(isDone && got.size() == 5 && got.contains("b 0") && ofA.equals(List.of("a 0", "a 1", "a 1", "a 2")),
                    "got " + got);
        }
    }

    private void transaction(String topic) throws Exception {
        Producer own = PROVIDER.newProducerBuilder().setClientConfiguration(configuration).setTopics(topic)
                .setTransactionChecker(view -> body(view).equals("left open")
                        ? TransactionResolution.COMMIT : TransactionResolution.ROLLBACK)
                .build();
        for (String body : List.of("committed", "rolled back", "left open")) {
            Transaction transaction = own.beginTransaction();
            own.send(message(topic, body).build(), transaction);
            if (body.equals("committed")) {
                transaction.commit();
            } else if (body.equals("rolled back")) {
                transaction.rollback();
            }
        }
        expectBodies(topic, ALL, List.of("committed", "left open"));
    }

    private void dlq(String topic) throws Exception {
        producer.send(message(topic, "dead").build());
        CountDownLatch left = new CountDownLatch(2);
        push(topic, left, view -> {
            left.countDown();
            return ConsumeResult.FAILURE;
        });
        try (SimpleConsumer consumer = soon("%DLQ%" + topic, topic + "-dead")) {
            String body = body(one(consumer));
            expect(body.equals("dead"), "got " + body);
        }
    }

    /** A consumer of a topic that is only just being made. */
    private SimpleConsumer soon(String topic, String group) throws Exception {
        long end = System.nanoTime() + FEATURE.toNanos();
        while (true) {
            try {
                return simple(topic, group, ALL);
            } catch (ClientException | RuntimeException e) {
                if (System.nanoTime() > end) {
                    throw e;
                }
                Thread.sleep(200);
            }
        }
    }

    private SimpleConsumer simple(String topic, String group, FilterExpression filter) throws ClientException {
        return PROVIDER.newSimpleConsumerBuilder().setClientConfiguration(configuration).setConsumerGroup(group)
                .setAwaitDuration(AWAIT).setSubscriptionExpressions(Collections.singletonMap(topic, filter)).build();
    }

    /** Consumes until nothing is left to wait for. The end of the program stops the consumer. */
    private void push(String topic, CountDownLatch left, Function<MessageView, ConsumeResult> consume) throws Exception {
        PROVIDER.newPushConsumerBuilder().setClientConfiguration(configuration).setConsumerGroup(topic)
                .setSubscriptionExpressions(Collections.singletonMap(topic, ALL))
                .setMessageListener(consume::apply).build();
        expect(left.await(FEATURE.toSeconds(), TimeUnit.SECONDS), "not all came in time");
    }

    /** These messages come, and no others within a further poll. */
    private void expectBodies(String topic, FilterExpression filter, List<String> expected) throws Exception {
        List<String> bodies = new ArrayList<>();
        try (SimpleConsumer consumer = simple(topic, topic, filter)) {
            long end = System.nanoTime() + FEATURE.toNanos();
            for (boolean isLast = false; !isLast && System.nanoTime() < end;) {
                isLast = bodies.size() >= expected.size();
                for (MessageView view : consumer.receive(32, INVISIBLE)) {
                    consumer.ack(view);
                    bodies.add(body(view));
                }
            }
        }
        Collections.sort(bodies);
        expect(bodies.equals(expected), "got " + String.join(", ", bodies));
    }

    private static MessageView one(SimpleConsumer consumer) throws Exception {
        for (long end = System.nanoTime() + FEATURE.toNanos(); System.nanoTime() < end;) {
            for (MessageView view : consumer.receive(1, INVISIBLE)) {
                return view;
            }
        }
        throw new IllegalStateException("nothing came");
    }

    private static MessageBuilder message(String topic, String body) {
        return PROVIDER.newMessageBuilder().setTopic(topic).setBody(body.getBytes(StandardCharsets.UTF_8));
    }

    private static String body(MessageView view) {
        ByteBuffer bytes = view.getBody();
        return StandardCharsets.UTF_8.decode(bytes).toString();
    }

    /** Which delivery of the message this is, from 1. */
    private static int attempt(MessageView view) {
        return view.getDeliveryAttempt();
    }

    private static void pause(long milliseconds) {
        try {
            Thread.sleep(milliseconds);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }

    private static void expect(boolean isSo, String otherwise) {
        if (!isSo) {
            throw new IllegalStateException(otherwise);
        }
    }

    private static String quoted(String text) {
        return '"' + text.replace("\\", "\\\\").replace("\"", "'").replaceAll("\\p{Cntrl}", " ") + '"';
    }
}
