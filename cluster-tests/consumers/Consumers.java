import com.alibaba.fastjson2.JSON;
import com.alibaba.otter.canal.protocol.FlatMessage;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.flink.api.common.serialization.DeserializationSchema;
import org.apache.flink.formats.common.TimestampFormat;
import org.apache.flink.formats.json.canal.CanalJsonDeserializationSchema;
import org.apache.flink.formats.json.debezium.DebeziumJsonDeserializationSchema;
import org.apache.flink.formats.json.maxwell.MaxwellJsonDeserializationSchema;
import org.apache.flink.table.api.DataTypes;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.runtime.typeutils.InternalTypeInfo;
import org.apache.flink.table.types.DataType;
import org.apache.flink.table.types.logical.LogicalType;
import org.apache.flink.util.Collector;

/** Reads golden messages with other people's consumers and checks what they understand. */
public final class Consumers {
    private static final DataType ITEM = DataTypes.ROW(
            DataTypes.FIELD("order_id", DataTypes.BIGINT()),
            DataTypes.FIELD("line_no", DataTypes.INT()),
            DataTypes.FIELD("sku", DataTypes.STRING()),
            DataTypes.FIELD("price", DataTypes.DECIMAL(10, 4)));
    private static final DataType KINDS = DataTypes.ROW(
            DataTypes.FIELD("b", DataTypes.BIGINT()),
            DataTypes.FIELD("bu", DataTypes.DECIMAL(20, 0)),
            DataTypes.FIELD("d2", DataTypes.DECIMAL(38, 10)),
            DataTypes.FIELD("v", DataTypes.STRING()));

    private static final String ITEM_1 = "(7001,2,K-9 café,12.5000)";
    private static final String ITEM_CHEAPER = "(7001,2,K-9 café,11.0000)";
    private static final String ITEM_MOVED = "(7001,3,K-9 café,12.5000)";
    private static final String KIND = "(-9223372036854775808,18446744073709551615,"
            + "-1234567890123456789012345678.0123456789,a\"b\\c\n😀\u0001/)";

    private interface Format {
        DeserializationSchema<RowData> of(DataType type);
    }

    private static int checked;

    public static void main(String[] args) throws Exception {
        Path golden = Path.of(args[0]);
        Format canal = type -> CanalJsonDeserializationSchema.builder(type, List.of(), info(type))
                .setIgnoreParseErrors(false)
                .setTimestampFormat(TimestampFormat.SQL)
                .build();
        Format maxwell = type ->
                new MaxwellJsonDeserializationSchema(type, List.of(), info(type), false, TimestampFormat.SQL);
        flink(golden.resolve("canal.txt"), canal);
        flink(golden.resolve("maxwell.txt"), maxwell);
        flink(golden.resolve("debezium.txt"), debezium(true));
        flink(golden.resolve("debezium_with_schema.txt"), debezium(true));
        flink(golden.resolve("debeziumflatten.txt"), debezium(false));
        flatMessages(golden.resolve("canal.txt"));
        System.out.println(checked + " messages understood");
    }

    private static Format debezium(boolean wrapped) {
        return type -> new DebeziumJsonDeserializationSchema(
                type, List.of(), info(type), wrapped, false, TimestampFormat.SQL);
    }

    private static InternalTypeInfo<RowData> info(DataType type) {
        return InternalTypeInfo.of(type.getLogicalType());
    }

    /** The messages of a golden file by the names of their cases. */
    private static Map<String, String> messages(Path file) throws Exception {
        Map<String, String> found = new LinkedHashMap<>();
        List<String> lines = Files.readAllLines(file, StandardCharsets.UTF_8);
        for (int i = 0; i + 1 < lines.size(); i += 2) {
            found.put(lines.get(i).substring(2), lines.get(i + 1));
        }
        return found;
    }

    private static void flink(Path file, Format format) throws Exception {
        Map<String, String> messages = messages(file);
        DeserializationSchema<RowData> items = format.of(ITEM);
        DeserializationSchema<RowData> kinds = format.of(KINDS);
        items.open(null);
        kinds.open(null);
        expect(file, "full", read(items, ITEM, messages.get("full")), "+I" + ITEM_1);
        expect(file, "insert", read(items, ITEM, messages.get("insert")), "+I" + ITEM_1);
        expect(file, "update", read(items, ITEM, messages.get("update")), "-U" + ITEM_1 + " +U" + ITEM_CHEAPER);
        expect(file, "update of the key", read(items, ITEM, messages.get("update of the key")),
                "-U" + ITEM_1 + " +U" + ITEM_MOVED);
        expect(file, "delete", read(items, ITEM, messages.get("delete")), "-D" + ITEM_1);
        expect(file, "insert of all types", read(kinds, KINDS, messages.get("insert of all types")), "+I" + KIND);
        expect(file, "insert of nulls", read(kinds, KINDS, messages.get("insert of nulls")),
                "+I(null,null,null,null)");
    }

    private static String read(DeserializationSchema<RowData> schema, DataType type, String message) throws Exception {
        List<String> rows = new ArrayList<>();
        List<LogicalType> types = type.getLogicalType().getChildren();
        schema.deserialize(message.getBytes(StandardCharsets.UTF_8), new Collector<RowData>() {
            @Override
            public void collect(RowData row) {
                List<String> values = new ArrayList<>();
                for (int i = 0; i < types.size(); i++) {
                    Object value = RowData.createFieldGetter(types.get(i), i).getFieldOrNull(row);
                    values.add(String.valueOf(value));
                }
                rows.add(row.getRowKind().shortString() + "(" + String.join(",", values) + ")");
            }

            @Override
            public void close() {}
        });
        return String.join(" ", rows);
    }

    /** Canal's own message class, as its clients read it. */
    private static void flatMessages(Path file) throws Exception {
        Map<String, String> messages = messages(file);
        for (Map.Entry<String, String> entry : messages.entrySet()) {
            FlatMessage message = JSON.parseObject(entry.getValue(), FlatMessage.class);
            String name = entry.getKey();
            boolean ddl = name.startsWith("ddl ");
            expect(file, name, String.valueOf(message.getIsDdl()), String.valueOf(ddl));
            expect(file, name, String.valueOf(message.getEs()), "1709605230000");
            if (ddl || name.equals("heartbeat")) {
                expect(file, name, String.valueOf(message.getData()), "null");
            }
        }
        FlatMessage update = JSON.parseObject(messages.get("update"), FlatMessage.class);
        expect(file, "update", update.getType() + update.getPkNames() + update.getOld(),
                "UPDATE[order_id, line_no][{price=12.5000}]");
        FlatMessage all = JSON.parseObject(messages.get("insert of all types"), FlatMessage.class);
        Map<String, String> row = all.getData().get(0);
        expect(file, "all types", row.get("bu") + " " + row.get("v"), "18446744073709551615 a\"b\\c\n😀\u0001/");
        expect(file, "all types", new BigDecimal(row.get("d2")).toPlainString(),
                "-1234567890123456789012345678.0123456789");
        expect(file, "all types", String.valueOf(all.getSqlType().get("bu")), "-5");
    }

    private static void expect(Path file, String name, String found, String wanted) {
        if (!wanted.equals(found)) {
            throw new AssertionError(file.getFileName() + ", " + name + ": understood " + found + ", not " + wanted);
        }
        checked++;
    }
}
