package cometmq;

import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.rocketmq.client.apis.ClientConfiguration;
import org.apache.rocketmq.client.apis.ClientServiceProvider;
import org.apache.rocketmq.client.apis.consumer.ConsumeResult;
import org.apache.rocketmq.client.apis.consumer.FilterExpression;
import org.apache.rocketmq.client.apis.consumer.FilterExpressionType;
import org.apache.rocketmq.client.apis.consumer.PushConsumer;
import org.apache.rocketmq.client.apis.consumer.SimpleConsumer;
import org.apache.rocketmq.client.apis.message.MessageView;
import org.apache.rocketmq.client.apis.producer.Producer;

/**
 * The official Java client against a running broker, with its default settings (TLS on).
 * Usage: Clients ENDPOINT TOPIC COUNT, or Clients kinds ENDPOINT PREFIX FEATURE...
 * Prints one JSON line and exits with 0 only when all came.
 */
public final class Clients {
    private static final Duration ROUND = Duration.ofSeconds(60);
    private static final ClientServiceProvider PROVIDER = ClientServiceProvider.loadService();

    public static void main(String[] args) throws Exception {
        if (args[0].equals("kinds")) {
            Kinds.run(args[1], args[2], List.of(args).subList(3, args.length));
            System.exit(0);
        }
        ClientConfiguration configuration = ClientConfiguration.newBuilder().setEndpoints(args[0]).build();
        String topic = args[1];
        int count = Integer.parseInt(args[2]);
        int sent = send(configuration, topic, count);
        int simple = receiveSimple(configuration, topic, count);
        int push = receivePush(configuration, topic, count);
        System.out.printf("{\"sent\":%d,\"simple\":%d,\"push\":%d}%n", sent, simple, push);
        System.exit(sent == count && simple == count && push == count ? 0 : 1);
    }

    private static int send(ClientConfiguration configuration, String topic, int count) throws Exception {
        int sent = 0;
        try (Producer producer = PROVIDER.newProducerBuilder()
                .setClientConfiguration(configuration).setTopics(topic).build()) {
            for (int i = 0; i < count; i++) {
                producer.send(PROVIDER.newMessageBuilder().setTopic(topic).setTag("java").setKeys("java-" + i)
                        .addProperty("index", Integer.toString(i))
                        .setBody(("java " + i).getBytes(StandardCharsets.UTF_8)).build());
                sent++;
            }
        }
        return sent;
    }

    private static int receiveSimple(ClientConfiguration configuration, String topic, int count) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        long end = System.nanoTime() + ROUND.toNanos();
        try (SimpleConsumer consumer = PROVIDER.newSimpleConsumerBuilder().setClientConfiguration(configuration)
                .setConsumerGroup(topic + "-simple").setAwaitDuration(Duration.ofSeconds(5))
                .setSubscriptionExpressions(all(topic)).build()) {
            while (seen.size() < count && System.nanoTime() < end) {
                List<MessageView> views = consumer.receive(32, Duration.ofSeconds(30));
                for (MessageView view : views) {
                    consumer.ack(view);
                    seen.add(view.getMessageId().toString());
                }
            }
        }
        return seen.size();
    }

    private static int receivePush(ClientConfiguration configuration, String topic, int count) throws Exception {
        Set<String> seen = ConcurrentHashMap.newKeySet();
        CountDownLatch left = new CountDownLatch(count);
        PushConsumer consumer = PROVIDER.newPushConsumerBuilder().setClientConfiguration(configuration)
                .setConsumerGroup(topic + "-push").setSubscriptionExpressions(all(topic))
                .setMessageListener(view -> {
                    if (seen.add(view.getMessageId().toString())) {
                        left.countDown();
                    }
                    return ConsumeResult.SUCCESS;
                }).build();
        left.await(ROUND.toSeconds(), TimeUnit.SECONDS);
        consumer.close();
        return seen.size();
    }

    private static java.util.Map<String, FilterExpression> all(String topic) {
        return Collections.singletonMap(topic, new FilterExpression("*", FilterExpressionType.TAG));
    }
}
