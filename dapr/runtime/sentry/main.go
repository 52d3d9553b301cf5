// Sentry, the certificate authority of the sidecars, on a machine of one user: upstream's own server, but its health
// check keeps to --healthz-listen-address, which upstream's program takes and ignores, and certificates are read once.
package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/dapr/dapr/cmd/sentry/options"
	"github.com/dapr/dapr/pkg/buildinfo"
	"github.com/dapr/dapr/pkg/healthz"
	"github.com/dapr/dapr/pkg/modes"
	"github.com/dapr/dapr/pkg/sentry"
	"github.com/dapr/dapr/pkg/sentry/config"
	"github.com/dapr/dapr/pkg/sentry/monitoring"
	"github.com/dapr/kit/concurrency"
	"github.com/dapr/kit/logger"
	"github.com/dapr/kit/signals"
)

var log = logger.NewLogger("dapr.sentry")

func main() {
	opts := options.New(os.Args[1:])
	if err := errors.Join(opts.Validate(), logger.ApplyOptionsToLoggers(&opts.Logger), monitoring.InitMetrics()); err != nil {
		log.Fatal(err)
	}
	log.Infof("Starting Dapr Sentry certificate authority -- version %s -- commit %s", buildinfo.Version(), buildinfo.Commit())
	if err := run(signals.Context(), opts); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, opts *options.Options) error {
	cfg, err := config.FromConfigName(opts.ConfigName, opts.Mode)
	if err != nil {
		return err
	}
	in := func(file string) string { return filepath.Join(opts.IssuerCredentialsPath, file) }
	cfg.RootCertPath = in(opts.X509.RootCAFilename)
	cfg.IssuerCertPath = in(opts.X509.IssuerCertFilename)
	cfg.IssuerKeyPath = in(opts.X509.IssuerKeyFilename)
	cfg.JWT.SigningKeyPath = in(config.DefaultJWTSigningKeyFilename)
	cfg.JWT.JWKSPath = in(config.DefaultJWKSFilename)
	cfg.TrustDomain = opts.TrustDomain
	cfg.Port = opts.Port
	cfg.ListenAddress = opts.ListenAddress
	cfg.Mode = modes.DaprMode(opts.Mode)

	health := healthz.New()
	authority, err := sentry.New(ctx, sentry.Options{Config: cfg, Healthz: health})
	if err != nil {
		return err
	}
	address := net.JoinHostPort(opts.HealthzListenAddress, strconv.Itoa(opts.HealthzPort))
	return concurrency.NewRunnerManager(authority.Start, answerHealth(address, health)).Run(ctx)
}

// answerHealth serves GET /healthz: 200 when everything is ready, else 503.
func answerHealth(address string, health healthz.Healthz) concurrency.Runner {
	return func(ctx context.Context) error {
		mux := http.NewServeMux()
		mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) {
			if !health.IsReady() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		server := &http.Server{Addr: address, Handler: mux}
		context.AfterFunc(ctx, func() { _ = server.Close() })
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}
