CREATE TABLE `generated` (
  `a` int NOT NULL,
  `b` int GENERATED ALWAYS AS ((`a` + 1)) VIRTUAL,
  `c` varchar(50) GENERATED ALWAYS AS (concat(_utf8mb4'x\'',`a`,_utf8mb4'é')) STORED NOT NULL COMMENT 'gc',
  `d` int GENERATED ALWAYS AS ((`b` * 2)) VIRTUAL,
  PRIMARY KEY (`a`),
  KEY `kc` (`c`),
  KEY `kd` (`d`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci
