package main

// Upstream's bindings.smtp sends one HTML part, sets no header of its own, and keeps what a request names for the
// requests that run beside it. Here it has one operation more, `send`: a whole mail, with a text and an HTML part.

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"

	"gopkg.in/gomail.v2"

	"github.com/dapr/components-contrib/bindings"
	bindingssmtp "github.com/dapr/components-contrib/bindings/smtp"
	"github.com/dapr/kit/logger"
	kitmd "github.com/dapr/kit/metadata"
)

const sendOperation bindings.OperationKind = "send"

var headerName = regexp.MustCompile(`^[A-Za-z][A-Za-z-]*$`)

type mailer struct {
	bindings.OutputBinding
	server bindingssmtp.Metadata
}

// mail is the data of `send`.
type mail struct {
	From    string            `json:"from"` // address; emailFrom of the component where it is left out
	To      string            `json:"to"`   // address
	ToName  string            `json:"toName"`
	Subject string            `json:"subject"`
	Text    string            `json:"text"`
	HTML    string            `json:"html"`
	Headers map[string]string `json:"headers"`
}

func newMailer(log logger.Logger) bindings.OutputBinding {
	return &mailer{OutputBinding: bindingssmtp.NewSMTP(log)}
}

func (m *mailer) Init(ctx context.Context, meta bindings.Metadata) error {
	if err := kitmd.DecodeMetadata(meta.Properties, &m.server); err != nil {
		return err
	}
	return m.OutputBinding.Init(ctx, meta)
}

func (m *mailer) Operations() []bindings.OperationKind {
	return append(m.OutputBinding.Operations(), sendOperation)
}

func (m *mailer) Invoke(ctx context.Context, req *bindings.InvokeRequest) (*bindings.InvokeResponse, error) {
	if req.Operation != sendOperation {
		return m.OutputBinding.Invoke(ctx, req)
	}
	var asked mail
	if err := json.Unmarshal(req.Data, &asked); err != nil {
		// The decoder's own words could quote the mail.
		return nil, errors.New("smtp: the data of `send` is no mail")
	}
	if asked.From == "" {
		asked.From = m.server.EmailFrom
	}
	if asked.From == "" || asked.To == "" || asked.Subject == "" || asked.Text == "" {
		return nil, errors.New("smtp: a mail needs from, to, subject and text")
	}
	message := gomail.NewMessage()
	for name, value := range asked.Headers {
		if !headerName.MatchString(name) {
			return nil, errors.New("smtp: a header's name has letters and hyphens only")
		}
		message.SetHeader(name, value)
	}
	message.SetHeader("From", asked.From)
	message.SetAddressHeader("To", asked.To, asked.ToName)
	message.SetHeader("Subject", asked.Subject)
	message.SetBody("text/plain", asked.Text)
	if asked.HTML != "" {
		message.AddAlternative("text/html", asked.HTML)
	}

	dialer := gomail.NewDialer(m.server.Host, m.server.Port, m.server.User, m.server.Password)
	if m.server.SkipTLSVerify {
		dialer.TLSConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec
	}
	if err := dialer.DialAndSend(message); err != nil {
		return nil, fmt.Errorf("smtp: the mail was not taken: %w", err)
	}
	return nil, nil
}
