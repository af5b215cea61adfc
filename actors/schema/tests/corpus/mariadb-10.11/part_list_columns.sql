CREATE TABLE `part_list_columns` (
  `a` varchar(5) NOT NULL,
  `b` date NOT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
 PARTITION BY LIST  COLUMNS(`a`,`b`)
(PARTITION `p0` VALUES IN (('x','2020-01-01'),('y','2021-01-01')) ENGINE = InnoDB)
