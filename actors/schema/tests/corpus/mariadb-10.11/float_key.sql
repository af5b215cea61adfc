CREATE TABLE `float_key` (
  `a` float NOT NULL,
  `b` double NOT NULL,
  PRIMARY KEY (`a`,`b`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
