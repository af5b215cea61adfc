CREATE TABLE `seq_default` (
  `a` int(11) NOT NULL DEFAULT nextval(`corpus`.`seq1`),
  `b` int(11) DEFAULT NULL,
  PRIMARY KEY (`a`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci
