// The conversation of conversation.ts by amqp091-go: the setting is the first argument, the transcript goes to stdout,
// both as JSON.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

type message struct {
	Body        string     `json:"body"`
	ContentType string     `json:"contentType"`
	MessageID   string     `json:"messageId"`
	Headers     amqp.Table `json:"headers"`
}

type setting struct {
	URL              string  `json:"url"`
	WrongPasswordURL string  `json:"wrongPasswordUrl"`
	HeartbeatSeconds int     `json:"heartbeatSeconds"`
	Exchange         string  `json:"exchange"`
	Queue            string  `json:"queue"`
	MissingQueue     string  `json:"missingQueue"`
	RoutingKey       string  `json:"routingKey"`
	Message          message `json:"message"`
}

type counts struct {
	MessageCount  int `json:"messageCount"`
	ConsumerCount int `json:"consumerCount"`
}

type returned struct {
	ReplyCode  uint16 `json:"replyCode"`
	ReplyText  string `json:"replyText"`
	Exchange   string `json:"exchange"`
	RoutingKey string `json:"routingKey"`
	Body       string `json:"body"`
}

type delivery struct {
	message
	Exchange    string `json:"exchange"`
	RoutingKey  string `json:"routingKey"`
	Redelivered bool   `json:"redelivered"`
}

type transcript struct {
	WrongPassword  string     `json:"wrongPassword"`
	Declared       counts     `json:"declared"`
	Returned       returned   `json:"returned"`
	Deliveries     []delivery `json:"deliveries"`
	MissingQueue   string     `json:"missingQueue"`
	OtherArguments string     `json:"otherArguments"`
	StillThere     counts     `json:"stillThere"`
	Last           string     `json:"last"`
	Deleted        int        `json:"deleted"`
}

func main() {
	var s setting
	must(json.Unmarshal([]byte(os.Args[1]), &s))
	must(json.NewEncoder(os.Stdout).Encode(converse(s)))
}

func converse(s setting) (seen transcript) {
	_, err := amqp.Dial(s.WrongPasswordURL)
	seen.WrongPassword = refusal(err)

	connection, err := amqp.DialConfig(s.URL, amqp.Config{Heartbeat: time.Duration(s.HeartbeatSeconds) * time.Second})
	must(err)
	channel := open(connection)
	must(channel.Confirm(false))
	must(channel.ExchangeDeclare(s.Exchange, "direct", false, false, false, false, nil))
	queue, err := channel.QueueDeclare(s.Queue, true, false, false, false, nil)
	must(err)
	seen.Declared = counts{queue.Messages, queue.Consumers}
	must(channel.QueueBind(s.Queue, s.RoutingKey, s.Exchange, false, nil))

	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	publish(channel, s.Exchange, s.RoutingKey, amqp.Publishing{
		ContentType: s.Message.ContentType,
		MessageId:   s.Message.MessageID,
		Headers:     s.Message.Headers,
		Body:        []byte(s.Message.Body),
	})
	publish(channel, s.Exchange, "nowhere", amqp.Publishing{Body: []byte("lost")})
	r := <-returns
	seen.Returned = returned{r.ReplyCode, r.ReplyText, r.Exchange, r.RoutingKey, string(r.Body)}

	deliveries, err := channel.Consume(s.Queue, "", false, false, false, false, nil)
	must(err)
	first := <-deliveries
	must(first.Nack(false, true))
	second := <-deliveries
	must(second.Ack(false))
	seen.Deliveries = []delivery{delivered(first), delivered(second)}

	_, err = open(connection).QueueDeclarePassive(s.MissingQueue, false, false, false, false, nil)
	seen.MissingQueue = refusal(err)
	_, err = open(connection).QueueDeclare(s.Queue, false, false, false, false, nil)
	seen.OtherArguments = refusal(err)
	queue, err = open(connection).QueueDeclarePassive(s.Queue, true, false, false, false, nil)
	must(err)
	seen.StillThere = counts{queue.Messages, queue.Consumers}

	last := <-deliveries
	must(last.Ack(false))
	seen.Last = string(last.Body)
	seen.Deleted, err = channel.QueueDelete(s.Queue, false, false, false)
	must(err)
	must(channel.ExchangeDelete(s.Exchange, false, false))
	must(connection.Close())
	return seen
}

func open(connection *amqp.Connection) *amqp.Channel {
	channel, err := connection.Channel()
	must(err)
	return channel
}

func publish(channel *amqp.Channel, exchange, key string, publishing amqp.Publishing) {
	confirm, err := channel.PublishWithDeferredConfirmWithContext(context.Background(), exchange, key, true, false, publishing)
	must(err)
	if !confirm.Wait() {
		must(errors.New("not confirmed"))
	}
}

func delivered(d amqp.Delivery) delivery {
	return delivery{message{string(d.Body), d.ContentType, d.MessageId, d.Headers}, d.Exchange, d.RoutingKey, d.Redelivered}
}

func refusal(err error) string {
	var refused *amqp.Error
	if errors.As(err, &refused) {
		return refused.Reason
	}
	return fmt.Sprint(err)
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
