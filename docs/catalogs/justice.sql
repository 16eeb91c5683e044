CREATE TABLE correction (
  id INTEGER PRIMARY KEY, id_card VARCHAR(18), full_name VARCHAR(80), birth_date VARCHAR(20), offence_at VARCHAR(30),
  judged_at VARCHAR(30), category VARCHAR(20), penalty VARCHAR(20), term_years INTEGER, term_months INTEGER,
  is_joint INTEGER, sealed INTEGER, charge VARCHAR(60)
);
INSERT INTO correction VALUES
  (1, '339901198507110012', '何大伟', '1985-07-11', '2020-04-20 13:05:00', '2021-01-01 09:00:00', 'judgment', 'prison', 1, 6, 0, 0, '盗窃罪'),
  (2, '339901200506010019', '陈小明', '2005-06-01', '2023-06-01 23:59:59', '2023-09-01 09:00:00', 'judgment', 'prison', 5, 0, 0, 1, '盗窃罪'),
  (3, '339901200506010019', '陈小明', '2005-06-01', '2023-06-01 23:59:59', '2023-09-01 09:00:00', 'judgment', 'prison', 5, 1, 0, 0, '抢劫罪'),
  (4, '339901200506010019', '陈小明', '2005-06-01', '2023-06-01 24:30:00', '2023-09-01 09:00:00', 'judgment', 'prison', 6, 0, 0, 0, '抢劫罪'),
  (10, '339901199001010018', '周某', '1990-01-01', '2020-01-01 00:00:00', '2020-06-01 09:00:00', 'judgment', 'prison', 3, 12, 0, 0, '诈骗罪');
