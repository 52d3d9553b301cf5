ALTER TABLE "products" ADD COLUMN "category" text;
--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "weight" bigint;
--> statement-breakpoint
ALTER TABLE "products" ADD COLUMN "tax_class" text;
