ALTER TABLE "stock" ADD COLUMN "told" bigint;
