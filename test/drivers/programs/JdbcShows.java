// pgjdbc shows the features; see test/drivers/features.ts.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.core.BaseConnection;
import org.postgresql.fastpath.Fastpath;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;
import org.postgresql.util.PSQLException;
import org.postgresql.util.ServerErrorMessage;

public class JdbcShows {
  static final String TAG = System.getenv("DRIVER_TAG");
  static final StringBuilder out = new StringBuilder();

  interface Work {
    Object run() throws Exception;
  }

  static String table(String name) {
    return name + "_" + TAG;
  }

  static void show(Object... values) {
    StringBuilder line = new StringBuilder();
    for (Object value : values) line.append(value).append(' ');
    System.out.println(line.toString().trim().replace("\n", "\\n").replace("\r", "\\r"));
    System.out.flush();
  }

  static String url(String database, String... options) {
    String at = System.getenv("PGHOST") + ":" + System.getenv("PGPORT");
    return "jdbc:postgresql://" + at + "/" + database + "?user=" + System.getenv("PGUSER")
        + (options.length > 0 ? "&" + String.join("&", options) : "");
  }

  static Connection open(String... options) throws SQLException {
    return DriverManager.getConnection(url(System.getenv("PGDATABASE"), options));
  }

  static String rows(ResultSet set) throws SQLException {
    int columns = set.getMetaData().getColumnCount();
    StringJoiner rows = new StringJoiner(" | ");
    while (set.next()) {
      StringJoiner row = new StringJoiner(",");
      for (int i = 1; i <= columns; i += 1) row.add(String.valueOf(set.getObject(i)));
      rows.add(row.toString());
    }
    return rows.toString();
  }

  static String ask(Connection c, String sql, Object... values) throws SQLException {
    if (values.length == 0) {
      try (Statement s = c.createStatement()) {
        return s.execute(sql) ? rows(s.getResultSet()) : "count " + s.getUpdateCount();
      }
    }
    try (PreparedStatement s = c.prepareStatement(sql)) {
      for (int i = 0; i < values.length; i += 1) s.setObject(i + 1, values[i]);
      return s.execute() ? rows(s.getResultSet()) : "count " + s.getUpdateCount();
    }
  }

  static void attempt(String label, Work work) {
    try {
      show(label, work.run());
    } catch (BatchUpdateException e) {
      show(label, "batch", Arrays.toString(e.getUpdateCounts()), e.getSQLState());
    } catch (PSQLException e) {
      ServerErrorMessage m = e.getServerErrorMessage();
      if (m == null) show(label, e.getSQLState());
      else
        show(label, m.getSeverity(), m.getSQLState(), m.getMessage(), m.getDetail(), m.getHint(), m.getPosition(),
            m.getSchema(), m.getTable(), m.getColumn(), m.getConstraint(), m.getWhere(), m.getRoutine());
    } catch (Exception e) {
      show(label, e.getClass().getName(), e.getMessage());
    }
  }

  static void connect() throws Exception {
    for (int i = 0; i < 4; i += 1) {
      try (Connection c = open()) {
        show(i, ask(c, "select current_user, current_database()"));
      }
    }
    try (Connection c = open("ApplicationName=app" + TAG, "options=-c%20work_mem=3MB", "currentSchema=public")) {
      show(ask(c, "show application_name"), ask(c, "show work_mem"), ask(c, "show search_path"));
      show(c.getMetaData().getDatabaseProductVersion(), ask(c, "show datestyle"), ask(c, "show extra_float_digits"));
      show(c.isValid(2));
    }
    attempt("database", () -> DriverManager.getConnection(url("none_" + TAG)));
    try (Connection c = open("preferQueryMode=simple")) {
      show(ask(c, "select ?::int + 1", 4));
    }
    try (Connection c = open("readOnly=true")) {
      attempt("read only", () -> ask(c, "create table " + table("nothing") + " (a int)"));
    }
  }

  static void simple() throws Exception {
    try (Connection c = open(); Statement s = c.createStatement()) {
      show(ask(c, "select 1, 'x', null, true, 1.5::float8, numeric '1.50', date '2020-02-29', array[1,2]"));
      boolean isSet = s.execute("select 1; update pg_temp_none set a = 1 where false; select 2".replace("update pg_temp_none set a = 1 where false", "set work_mem = '4MB'"));
      for (int i = 0; i < 4; i += 1) {
        show(isSet, isSet ? rows(s.getResultSet()) : s.getUpdateCount());
        isSet = s.getMoreResults();
      }
      show(ask(c, "select i, repeat('x', i) from generate_series(1, 10) i"));
      attempt("half", () -> ask(c, "select 1; select 1/0; select 2"));
      attempt("empty", () -> ask(c, ""));
      ResultSetMetaData meta = s.executeQuery("select 1::int as a, 'b'::varchar(9) as b, 1.5::numeric(9,2) as c").getMetaData();
      for (int i = 1; i <= 3; i += 1) show(meta.getColumnName(i), meta.getColumnTypeName(i), meta.getPrecision(i));
      show(rows(c.getMetaData().getTypeInfo()).length() > 0, rows(c.getMetaData().getTables(null, "pg_catalog", "pg_cl%", null)).length());
    }
  }

  static void parameters() throws Exception {
    try (Connection c = open()) {
      show(ask(c, "select ?, ?, ?", 7, "sieben", 7.25));
      show(ask(c, "select ?::int is null", new Object[] {null}));
      show(ask(c, "select ?", "'; drop table x; -- $1 \\ \" ' select"));
      show(ask(c, "select ?::int[]", c.createArrayOf("int4", new Object[] {1, 2, 3})));
      show(ask(c, "select ?, ?", true, new java.math.BigDecimal("123456789.123456789")));
      show(ask(c, "select ?::date, ?::timestamp", java.time.LocalDate.of(2020, 2, 29), java.time.LocalDateTime.of(2020, 2, 29, 12, 0)));
      for (int i = 0; i < 12; i += 1) show(ask(c, "select ?::int + 1, ?::text", i, "w" + i));
      attempt("bad", () -> ask(c, "select ?::int", "no number"));
      try (PreparedStatement s = c.prepareStatement("select ?::int, ?::text")) {
        ParameterMetaData meta = s.getParameterMetaData();
        show(meta.getParameterCount(), meta.getParameterTypeName(1), meta.getParameterTypeName(2));
      }
    }
  }

  static void prepared() throws Exception {
    try (Connection c = open("prepareThreshold=1"); PreparedStatement s = c.prepareStatement("select ?::int + 10");
        PreparedStatement t = c.prepareStatement("select ?::text || 'x'")) {
      for (int i = 0; i < 10; i += 1) {
        s.setInt(1, i);
        t.setString(1, "t" + i);
        show(rows(s.executeQuery()), rows(t.executeQuery()));
      }
      c.setAutoCommit(false);
      s.setInt(1, 100);
      show(rows(s.executeQuery()));
      c.rollback();
      show(rows(s.executeQuery()));
      attempt("fails", () -> ask(c, "select 1/0"));
      attempt("aborted", () -> rows(s.executeQuery()));
      c.rollback();
      show(rows(s.executeQuery()), rows(t.executeQuery()));
      c.setAutoCommit(true);
      attempt("bad", () -> ask(c, "selec ?", 1));
      ask(c, "deallocate all");
      show(rows(s.executeQuery()));
      ask(c, "discard all");
      show(rows(t.executeQuery()));
    }
    // The threshold of five, then the binary form.
    try (Connection c = open(); PreparedStatement s = c.prepareStatement("select ?::int, now() > '2000-01-01'::timestamptz, ?::float8")) {
      for (int i = 0; i < 9; i += 1) {
        s.setInt(1, i);
        s.setDouble(2, i / 4.0);
        show(rows(s.executeQuery()));
      }
    }
  }

  static void manyPrepared() throws Exception {
    try (Connection c = open("prepareThreshold=1", "preparedStatementCacheQueries=40")) {
      for (int round = 0; round < 3; round += 1) {
        long sum = 0;
        for (int i = 0; i < 60; i += 1) sum += Long.parseLong(ask(c, "select ?::int + " + i + " /* " + TAG + " */", round));
        show(round, sum);
      }
    }
  }

  static void pipeline() throws Exception {
    try (Connection c = open("prepareThreshold=1"); Statement t = c.createStatement()) {
      String name = table("pipe");
      t.execute("create table " + name + " (id int primary key, word text)");
      try (PreparedStatement s = c.prepareStatement("insert into " + name + " values (?, ?)")) {
        for (int i = 0; i < 500; i += 1) {
          s.setInt(1, i);
          s.setString(2, "word " + i);
          s.addBatch();
        }
        show(Arrays.stream(s.executeBatch()).sum());
        for (int i = 600; i > 490; i -= 1) {
          s.setInt(1, i);
          s.setString(2, "again");
          s.addBatch();
        }
        attempt("double", () -> s.executeBatch().length);
      }
      show(ask(c, "select count(*), sum(id) from " + name));
      for (int i = 0; i < 30; i += 1) t.addBatch(i == 20 ? "insert into " + name + " values (0, 'x')" : "update " + name + " set word = 'u' where id = " + i);
      attempt("statements", () -> t.executeBatch().length);
      show(ask(c, "select count(*) from " + name + " where word = 'u'"));
      try (PreparedStatement s = c.prepareStatement("insert into " + name + " values (?, 'key') returning id, word", Statement.RETURN_GENERATED_KEYS)) {
        for (int i = 1000; i < 1020; i += 1) {
          s.setInt(1, i);
          s.addBatch();
        }
        s.executeBatch();
        show(rows(s.getGeneratedKeys()));
      }
      show(ask(c, "select 1; select 2; select 3; select 4"));
      t.execute("drop table " + name);
    }
    try (Connection c = open("reWriteBatchedInserts=true"); Statement t = c.createStatement()) {
      String name = table("rewritten");
      t.execute("create table " + name + " (id int primary key, word text)");
      try (PreparedStatement s = c.prepareStatement("insert into " + name + " values (?, ?)")) {
        for (int i = 0; i < 300; i += 1) {
          s.setInt(1, i);
          s.setString(2, "word " + i);
          s.addBatch();
        }
        show(s.executeBatch().length);
      }
      show(ask(c, "select count(*), sum(id) from " + name));
      t.execute("drop table " + name);
    }
  }

  static void transactions() throws Exception {
    try (Connection c = open()) {
      String name = table("tx");
      ask(c, "create table " + name + " (id int primary key, word text)");
      c.setAutoCommit(false);
      ask(c, "insert into " + name + " values (?, ?)", 1, "one");
      c.commit();
      ask(c, "insert into " + name + " values (?, ?)", 2, "two");
      c.rollback();
      show(ask(c, "table " + name));
      Savepoint a = c.setSavepoint("a");
      attempt("double", () -> ask(c, "insert into " + name + " values (1, 'x')"));
      attempt("aborted", () -> ask(c, "select 1"));
      c.rollback(a);
      ask(c, "insert into " + name + " values (?, ?)", 3, "three");
      c.commit();
      show(ask(c, "table " + name));
      attempt("fails", () -> ask(c, "select 1/0"));
      attempt("commit of a failed one", () -> {
        c.commit();
        return "done";
      });
      c.rollback();
      c.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
      show(ask(c, "show transaction_isolation"));
      c.rollback();
      c.setReadOnly(true);
      attempt("read only", () -> ask(c, "insert into " + name + " values (4, 'x')"));
      c.rollback();
      c.setReadOnly(false);
      c.setAutoCommit(true);
      show(ask(c, "select count(*) from " + name), c.getTransactionIsolation());
      ask(c, "drop table " + name);
    }
    try (Connection c = open("autosave=always")) {
      c.setAutoCommit(false);
      show(ask(c, "select ?::int", 1));
      attempt("fails", () -> ask(c, "select 1/0"));
      show(ask(c, "select ?::int", 2));
      c.rollback();
    }
  }

  static void cursors() throws Exception {
    try (Connection c = open("prepareThreshold=1")) {
      c.setAutoCommit(false);
      for (int round = 0; round < 3; round += 1) {
        try (PreparedStatement s = c.prepareStatement("select i from generate_series(1, ?) i")) {
          s.setFetchSize(7);
          s.setInt(1, 50);
          show(rows(s.executeQuery()));
        }
      }
      try (PreparedStatement s = c.prepareStatement("select i from generate_series(1, 1000) i"); PreparedStatement t = c.prepareStatement("select i * 2 from generate_series(1, 1000) i")) {
        s.setFetchSize(100);
        t.setFetchSize(50);
        long sum = 0;
        try (ResultSet one = s.executeQuery(); ResultSet two = t.executeQuery()) {
          while (one.next() && two.next()) sum += one.getInt(1) + two.getInt(1);
        }
        show(sum);
      }
      try (PreparedStatement s = c.prepareStatement("select 10 / (15 - i) from generate_series(1, 20) i")) {
        s.setFetchSize(4);
        attempt("fails", () -> rows(s.executeQuery()));
      }
      c.rollback();
      try (Statement s = c.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY, ResultSet.HOLD_CURSORS_OVER_COMMIT)) {
        s.setFetchSize(5);
        ResultSet set = s.executeQuery("select i from generate_series(1, 20) i");
        set.next();
        attempt("held", () -> {
          c.commit();
          return rows(set);
        });
      }
      c.rollback();
      ask(c, "declare h cursor with hold for select i from generate_series(1, 10) i");
      c.commit();
      show(ask(c, "fetch 3 from h"));
      c.commit();
      show(ask(c, "fetch 3 from h"), ask(c, "select 1"));
      ask(c, "close h");
      c.commit();
      try (Statement s = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_READ_ONLY)) {
        s.setMaxRows(12);
        ResultSet set = s.executeQuery("select i from generate_series(1, 100) i");
        set.last();
        show(set.getInt(1));
        set.absolute(3);
        show(set.getInt(1));
      }
      String name = table("f");
      ask(c, "create function " + name + "() returns refcursor language plpgsql as $$ declare r refcursor; begin open r for select i from generate_series(1, 5) i; return r; end $$");
      c.commit();
      try (CallableStatement s = c.prepareCall("{? = call " + name + "()}")) {
        s.registerOutParameter(1, Types.OTHER);
        s.execute();
        show(rows((ResultSet) s.getObject(1)));
      }
      c.rollback();
      ask(c, "drop function " + name);
      c.commit();
    }
  }

  static void copyIn() throws Exception {
    try (Connection c = open()) {
      String name = table("copied");
      ask(c, "create table " + name + " (id int primary key, word text)");
      CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
      show(copies.copyIn("copy " + name + " from stdin", new StringReader("1\teins\n2\t\\N\n")));
      StringBuilder many = new StringBuilder();
      for (int i = 100; i < 20000; i += 1) many.append(i).append(",word ").append(i).append('\n');
      show(copies.copyIn("copy " + name + " from stdin csv", new StringReader(many.toString())));
      attempt("bad", () -> copies.copyIn("copy " + name + " from stdin", new StringReader("900000\tx\nno number\n")));
      attempt("double", () -> copies.copyIn("copy " + name + " from stdin", new StringReader("1\tx\n")));
      CopyIn given = copies.copyIn("copy " + name + " from stdin");
      byte[] row = "900000\tx\n".getBytes(StandardCharsets.UTF_8);
      given.writeToCopy(row, 0, row.length);
      given.cancelCopy();
      show(given.isActive(), ask(c, "select count(*), sum(id) from " + name));
      ask(c, "drop table " + name);
    }
  }

  static void copyOut() throws Exception {
    try (Connection c = open()) {
      CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
      StringWriter text = new StringWriter();
      show(copies.copyOut("copy (select i, 'x' from generate_series(1, 5) i) to stdout", text), text);
      ByteArrayOutputStream bytes = new ByteArrayOutputStream();
      show(copies.copyOut("copy (select i, repeat('y', 90) from generate_series(1, 60000) i) to stdout (format binary)", bytes), bytes.size());
      attempt("fails", () -> copies.copyOut("copy (select 10 / (5 - i) from generate_series(1, 9) i) to stdout", new StringWriter()));
      show(ask(c, "select 1"));
    }
  }

  static void listen() throws Exception {
    try (Connection c = open()) {
      PGConnection pg = c.unwrap(PGConnection.class);
      ask(c, "listen " + table("ch"));
      ask(c, "notify " + table("ch") + ", 'to myself'");
      try (Connection other = open()) {
        ask(other, "select pg_notify(?, ?)", table("ch"), "from another");
      }
      List<String> heard = new ArrayList<>();
      while (heard.size() < 2) {
        PGNotification[] some = pg.getNotifications(10_000);
        if (some == null || some.length == 0) break;
        for (PGNotification one : some) heard.add(one.getName() + ": " + one.getParameter());
      }
      show(heard, ask(c, "select pg_listening_channels()"));
      ask(c, "unlisten *");
      show(ask(c, "select pg_listening_channels()"));
    }
  }

  static void cancel() throws Exception {
    try (Connection c = open(); Statement s = c.createStatement()) {
      for (int round = 0; round < 2; round += 1) {
        Timer timer = new Timer(true);
        timer.schedule(new TimerTask() {
          @Override
          public void run() {
            try {
              s.cancel();
            } catch (SQLException e) {
              show("the cancel failed", e.getMessage());
            }
          }
        }, 400);
        attempt("cancelled", () -> s.execute("select pg_sleep(20)"));
        show(ask(c, "select 1"));
      }
      s.setQueryTimeout(1);
      attempt("timed out", () -> s.execute("select pg_sleep(20)"));
      show(ask(c, "select 1"));
    }
  }

  static void errors() throws Exception {
    try (Connection c = open("logServerErrorDetail=true")) {
      String name = table("err");
      ask(c, "create table " + name + " (id int constraint " + table("pk") + " primary key, n int not null constraint " + table("ck") + " check (n > 0))");
      attempt("syntax", () -> ask(c, "selec ?", 1));
      attempt("table", () -> ask(c, "select * from none_" + TAG));
      attempt("bind", () -> ask(c, "select ?::int", "x"));
      attempt("execute", () -> ask(c, "select 10 / (? - i) from generate_series(1, 9) i", 5));
      ask(c, "insert into " + name + " values (1, 1)");
      attempt("double", () -> ask(c, "insert into " + name + " values (?, 1)", 1));
      attempt("null", () -> ask(c, "insert into " + name + " values (2, ?::int)", new Object[] {null}));
      attempt("check", () -> ask(c, "insert into " + name + " values (2, ?)", -1));
      attempt("raised", () -> ask(c, "do $$ begin raise exception 'own' using errcode = 'ZX001', detail = 'd', hint = 'h'; end $$"));
      show(ask(c, "select 1"));
      ask(c, "drop table " + name);
    }
  }

  static void timeouts() throws Exception {
    try (Connection c = open("options=-c%20statement_timeout=300")) {
      attempt("statement", () -> ask(c, "select pg_sleep(?)", 20));
      show(ask(c, "show statement_timeout"));
      String name = table("lck");
      ask(c, "create table " + name + " as select 1 as id");
      try (Connection other = open()) {
        other.setAutoCommit(false);
        ask(other, "update " + name + " set id = 2");
        ask(c, "set lock_timeout = 100");
        attempt("lock", () -> ask(c, "update " + name + " set id = ?", 3));
        other.rollback();
      }
      ask(c, "drop table " + name);
    }
  }

  static void killed() throws Exception {
    try (Connection c = open()) {
      attempt("killed", () -> ask(c, "select pg_terminate_backend(pg_backend_pid())"));
      attempt("after", () -> ask(c, "select 1"));
      show(c.isClosed(), c.isValid(1));
    }
    try (Connection c = open()) {
      show(ask(c, "select 1"));
    }
  }

  static void settings() throws Exception {
    try (Connection c = open()) {
      ask(c, "create schema " + table("s"));
      ask(c, "create table " + table("s") + ".inside as select 11 as a");
      c.setSchema(table("s"));
      ask(c, "set timezone = 'Asia/Tokyo'");
      ask(c, "set my.own = 'mine " + TAG + "'");
      c.setClientInfo("ApplicationName", "later " + TAG);
      for (int i = 0; i < 8; i += 1) show(ask(c, "select current_setting('my.own'), current_setting(?), a from inside", "TimeZone"));
      show(ask(c, "show application_name"), c.getClientInfo("ApplicationName"), c.getSchema());
      c.setAutoCommit(false);
      ask(c, "set local timezone = 'UTC'");
      show(ask(c, "show timezone"));
      c.commit();
      ask(c, "set timezone = 'UTC'");
      c.rollback();
      c.setAutoCommit(true);
      show(ask(c, "show timezone"));
      attempt("datestyle", () -> ask(c, "set client_encoding = 'LATIN1'"));
    }
    try (Connection c = open()) {
      ask(c, "drop schema " + table("s") + " cascade");
      show(ask(c, "show search_path"), ask(c, "show application_name"));
    }
  }

  static void temporary() throws Exception {
    try (Connection c = open("prepareThreshold=1")) {
      ask(c, "create temp table own (a int)");
      ask(c, "insert into own select generate_series(1, ?)", 3);
      for (int i = 0; i < 5; i += 1) show(ask(c, "select sum(a) from own where a > ?", i));
    }
    try (Connection c = open()) {
      attempt("another", () -> ask(c, "table own"));
    }
  }

  static void advisoryLocks() throws Exception {
    try (Connection c = open()) {
      ask(c, "select pg_advisory_lock(hashtext(?))", TAG);
      try (Connection other = open()) {
        show(ask(other, "select pg_try_advisory_lock(hashtext(?))", TAG));
      }
      show(ask(c, "select pg_advisory_unlock(hashtext(?))", TAG));
      try (Connection other = open()) {
        show(ask(other, "select pg_try_advisory_xact_lock(hashtext(?))", TAG));
      }
    }
  }

  static void largeObjects() throws Exception {
    try (Connection c = open()) {
      c.setAutoCommit(false);
      // These are function calls of the protocol, not statements.
      LargeObjectManager objects = c.unwrap(PGConnection.class).getLargeObjectAPI();
      long oid = objects.createLO(LargeObjectManager.READ | LargeObjectManager.WRITE);
      LargeObject one = objects.open(oid, LargeObjectManager.WRITE);
      byte[] data = new byte[300_000];
      Arrays.fill(data, (byte) 'L');
      one.write(data);
      one.close();
      c.commit();
      LargeObject again = objects.open(oid, LargeObjectManager.READ);
      show(again.size(), again.read(20).length);
      again.seek(299_990);
      show(again.read(100).length, again.tell());
      again.close();
      c.commit();
      attempt("no such descriptor", () -> {
        LargeObject none = objects.open(oid, LargeObjectManager.READ);
        c.commit();
        return none.read(1).length;
      });
      c.rollback();
      objects.delete(oid);
      c.commit();
      attempt("gone", () -> {
        try {
          return objects.open(oid, LargeObjectManager.READ);
        } catch (SQLException e) {
          return e.getSQLState();
        }
      });
      c.rollback();
      try (PreparedStatement s = c.prepareStatement("select lo_from_bytea(0, ?)")) {
        s.setBinaryStream(1, new ByteArrayInputStream(data), data.length);
        show(rows(s.executeQuery()).isEmpty());
      }
      c.rollback();
    }
  }

  static void big() throws Exception {
    try (Connection c = open(); Statement s = c.createStatement()) {
      long sum = 0;
      try (ResultSet set = s.executeQuery("select i, 'row ' || i from generate_series(1, 60000) i")) {
        while (set.next()) sum += set.getInt(1) + set.getString(2).length();
      }
      show(sum, ask(c, "select repeat('w', 9000000)").length());
      String word = "ä".repeat(2_000_000);
      show(ask(c, "select ?", word).equals(word));
    }
  }

  static void ddl() throws Exception {
    try (Connection c = open("prepareThreshold=1")) {
      String name = table("ddl");
      ask(c, "create table " + name + " (id int primary key, word text)");
      ask(c, "insert into " + name + " values (1, 'a')");
      Work get = () -> ask(c, "select id, word from " + name + " where id = ?", 1);
      Work all = () -> ask(c, "select * from " + name + " where id = ?", 1);
      show(get.run(), all.run(), get.run(), all.run());
      ask(c, "alter table " + name + " add column later int default 5");
      // The driver heals what the server refuses, by preparing again.
      show(get.run(), all.run());
      ask(c, "alter table " + name + " drop column word");
      attempt("column", get);
      show(all.run());
      ask(c, "drop table " + name);
      attempt("table", get);
    }
  }

  static void text() throws Exception {
    try (Connection c = open()) {
      for (String word : new String[] {"grüße", "日本語", "🐘🐘", "a'b\"c\\d", "\t\n\r"}) {
        show(ask(c, "select ?, char_length(?)", word, word).equals(word + "," + word.codePointCount(0, word.length())));
      }
      byte[] data = new byte[1024];
      for (int i = 0; i < data.length; i += 1) data[i] = (byte) i;
      try (PreparedStatement s = c.prepareStatement("select ?::bytea")) {
        for (int i = 0; i < 7; i += 1) {
          s.setBytes(1, data);
          ResultSet set = s.executeQuery();
          set.next();
          show(Arrays.equals(set.getBytes(1), data));
        }
      }
    }
  }

  static void notices() throws Exception {
    try (Connection c = open(); Statement s = c.createStatement()) {
      s.execute("do $$ begin raise notice 'one'; raise warning 'two %', 2; end $$");
      for (SQLWarning w = s.getWarnings(); w != null; w = w.getNextWarning()) show(w.getSQLState(), w.getMessage());
      s.clearWarnings();
      s.execute("drop table if exists none_" + TAG);
      show(s.getWarnings().getMessage());
    }
  }

  interface Feature {
    void run() throws Exception;
  }

  public static void main(String[] words) {
    Map<String, Feature> features = new HashMap<>();
    features.put("connect", JdbcShows::connect);
    features.put("simple", JdbcShows::simple);
    features.put("parameters", JdbcShows::parameters);
    features.put("prepared", JdbcShows::prepared);
    features.put("many-prepared", JdbcShows::manyPrepared);
    features.put("pipeline", JdbcShows::pipeline);
    features.put("transactions", JdbcShows::transactions);
    features.put("cursors", JdbcShows::cursors);
    features.put("copy-in", JdbcShows::copyIn);
    features.put("copy-out", JdbcShows::copyOut);
    features.put("listen", JdbcShows::listen);
    features.put("cancel", JdbcShows::cancel);
    features.put("errors", JdbcShows::errors);
    features.put("timeouts", JdbcShows::timeouts);
    features.put("killed", JdbcShows::killed);
    features.put("settings", JdbcShows::settings);
    features.put("temporary", JdbcShows::temporary);
    features.put("advisory-locks", JdbcShows::advisoryLocks);
    features.put("large-objects", JdbcShows::largeObjects);
    features.put("big", JdbcShows::big);
    features.put("ddl", JdbcShows::ddl);
    features.put("text", JdbcShows::text);
    features.put("notices", JdbcShows::notices);
    for (String word : words) {
      show("##", word);
      Feature feature = features.get(word);
      if (feature == null) {
        show("not supported: the driver has nothing of the kind");
        continue;
      }
      try {
        feature.run();
      } catch (Throwable e) {
        StackTraceElement[] at = e.getStackTrace();
        show("failed:", e, Arrays.asList(at).subList(0, Math.min(12, at.length)));
      }
    }
    show("## end");
  }
}
