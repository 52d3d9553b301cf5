ALTER TABLE "contacts" ADD COLUMN "reference" text;
