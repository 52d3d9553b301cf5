CREATE INDEX "orders_by_status" ON "orders" USING btree ("status","placed_at","id");
