CREATE TABLE "promotions" (
	"id" text PRIMARY KEY NOT NULL,
	"version" bigint NOT NULL,
	"created_at" bigint NOT NULL,
	"code" text,
	"active" boolean NOT NULL,
	"until" bigint,
	"most" bigint,
	"most_each" bigint,
	"promotion" jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "promotion_uses" (
	"promotion" text NOT NULL,
	"customer" text NOT NULL,
	"used" bigint NOT NULL,
	CONSTRAINT "promotion_uses_promotion_customer_pk" PRIMARY KEY("promotion","customer")
);
--> statement-breakpoint
CREATE TABLE "tax_rates" (
	"country" text NOT NULL,
	"class" text NOT NULL,
	"version" bigint NOT NULL,
	"basis_points" bigint NOT NULL,
	"included" boolean NOT NULL,
	"deleted" boolean NOT NULL,
	CONSTRAINT "tax_rates_country_class_pk" PRIMARY KEY("country","class")
);
--> statement-breakpoint
CREATE TABLE "shipping_rates" (
	"id" text PRIMARY KEY NOT NULL,
	"version" bigint NOT NULL,
	"rate" jsonb
);
--> statement-breakpoint
CREATE TABLE "price_book" (
	"id" text PRIMARY KEY NOT NULL,
	"version" bigint NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX "promotions_by_code" ON "promotions" USING btree ("code");
--> statement-breakpoint
CREATE INDEX "promotions_by_time" ON "promotions" USING btree ("created_at","id");
