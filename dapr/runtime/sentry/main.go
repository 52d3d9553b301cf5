// Sentry, the certificate authority of the sidecars, as upstream builds it.
package main

import "github.com/dapr/dapr/cmd/sentry/app"

func main() {
	app.Run()
}
